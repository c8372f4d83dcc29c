"""What `tagsmith train --plan` asks for and shows."""

import json

import pytest
from rich.table import Table

from services.cli.plans import _suspects, show_plan
from shared.stubs.training.v1 import training_pb2 as pb
from shared.stubs.training.v1.training_pb2_grpc import TrainingServiceServicer
from tests.unit.cli.servers import serving

Verdict = pb.LearningCurve.Verdict


def curve(verdict: Verdict, *row_counts: int, train: int | None = None) -> pb.LearningCurve:
    """A curve whose last doubling gained 3.1 points."""
    return pb.LearningCurve(
        metric_name="accuracy",
        points=[pb.LearningCurve.Point(row_count=count, score=0.5 + count / 1000) for count in row_counts],
        train_row_count=row_counts[-1] if train is None else train,
        gain=0.031,
        gain_low=-0.002,
        gain_high=0.064,
        verdict=verdict,
    )


class Planning(TrainingServiceServicer):
    """Answers with one curve, if one is asked for."""

    def __init__(self, curve: pb.LearningCurve) -> None:
        self.curve = curve

    def PlanTrainingJob(self, request: pb.PlanTrainingJobRequest, context: object) -> pb.TrainingPlan:
        """See training.proto."""
        return pb.TrainingPlan(
            spec=request.spec, learning_curve=self.curve if request.learning_curve else None
        )


def shown(
    capsys: pytest.CaptureFixture[str], of: pb.LearningCurve, *, asked: bool = True, as_json: bool = False
) -> tuple[str, str]:
    """What is printed on stdout and stderr."""
    with serving(training=Planning(of)) as session:
        session.as_json = as_json
        show_plan(
            session, pb.TrainingSpec(model="m"), promote_to="", find_suspects=False, learning_curve=asked
        )
    told = capsys.readouterr()
    return told.out, told.err


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.RISING, "more rows still help"),
        (Verdict.FLAT, "flat: as many rows again would hardly help; labels or base limit it"),
        (Verdict.UNCLEAR, "unclear: the validation rows are too few to tell"),
    ],
)
def test_a_curve_is_shown_with_what_it_means(
    capsys: pytest.CaptureFixture[str], verdict: Verdict, words: str
) -> None:
    """Each share with its score, and what the last doubling gained, in points."""
    out, err = shown(capsys, curve(verdict, 40, 80))
    assert "accuracy of a probe" in out
    assert [line.split() for line in out.splitlines()][-2:] == [["40", "0.540"], ["80", "0.580"]]
    assert f"learning curve: {words}; the last doubling gained +3.1 points (-0.2 to +6.4)" in " ".join(
        err.split()
    )


def test_suspects_are_shown_as_they_are_ranked() -> None:
    """The most suspect first, whatever its confidence; the heading says so, how many there are, and what the number means."""
    ranked = [
        {
            "place": f"train:{n}",
            "labels": ["a"],
            "suggested_labels": ["b"],
            "confidence": 1 / (1 + n % 7),
            "start": 0,
            "end": 0,
        }
        for n in range(25)
    ]
    heading, table = _suspects({"suspects": ranked})
    assert str(heading).startswith("25 suspect rows, the most suspect first, 20 of them: confidence is")
    assert isinstance(table, Table)
    assert list(table.columns[0].cells) == [f"train:{n}" for n in range(20)]
    assert list(_suspects({"suspects": []})) == ["no suspect rows"]


def test_a_curve_of_some_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """Not all of train fits into a probe: what more rows than that are worth is not told."""
    _, err = shown(capsys, curve(Verdict.RISING, 40, 80, train=9000))
    assert "of 9000 train rows it has 80" in " ".join(err.split())


def test_a_curve_of_one_point_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """There is no doubling to tell of."""
    _, err = shown(capsys, curve(Verdict.UNCLEAR, 40))
    assert "too few rows of some label" in " ".join(err.split())
    assert "gained" not in err


def test_json_has_the_curve_or_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Figures as they came; nothing where it was not asked for."""
    out, _ = shown(capsys, curve(Verdict.RISING, 40, 80), as_json=True)
    told = json.loads(out)["learning_curve"]
    assert [each["row_count"] for each in told.pop("points")] == [40, 80]
    assert told == {
        "metric_name": "accuracy",
        "train_row_count": 80,
        "gain": 0.031,
        "gain_low": -0.002,
        "gain_high": 0.064,
        "verdict": "RISING",
    }
    out, err = shown(capsys, curve(Verdict.RISING, 40, 80), asked=False, as_json=True)
    assert json.loads(out)["learning_curve"] is None
    assert "learning curve" not in err
