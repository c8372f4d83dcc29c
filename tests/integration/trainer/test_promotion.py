"""Whether a version may take a champion's place: both answer the same rows, and the owner's gates decide."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from services.train.events import Progress
from services.train.spec import QualityGates
from services.train.trainer.quality import Served, quality_checks
from shared.data.rows import Row, SplitName
from shared.runtime.classification import LabelScore
from shared.scoring.comparison import compare
from shared.scoring.evaluation import Split, evaluate_classification, outcomes_of
from shared.store.evaluation import Comparison, QualityCheck, ReliabilityBin, SplitEvaluation
from shared.store.manifest import Manifest
from tests.integration.trainer.world import Workplace, topic_rows
from tests.tiny import CLASSIFICATION_LABELS, TOPICS, topic_label

GATES = QualityGates(
    champion="tiny-classification@production",
    most_points_lost=1.0,
    most_slice_points_lost=5.0,
    fewest_rows=10,
)


def domain(row: Row) -> str:
    """Two thirds of the topics are about `money`, the rest about `access`."""
    return "money" if _topic(row) < 6 else "access"


def _topic(row: Row) -> int:
    return next(i for i, topic in enumerate(TOPICS) if topic in row.text.split())


def splits(*, mislabelled: Sequence[int]) -> dict[SplitName, list[Row]]:
    """A dataset whose train rows of some topics have another label; every row says its domain."""
    made: dict[SplitName, list[Row]] = {
        "train": topic_rows(216, 1),
        "validation": topic_rows(54, 2),
        "test": topic_rows(90, 3),
    }
    made["train"] = [
        replace(row, label=topic_label(TOPICS[_topic(row)], seed=1)) if _topic(row) in mislabelled else row
        for row in made["train"]
    ]
    return {
        split: [replace(row, columns=(("domain", domain(row)),)) for row in rows]
        for split, rows in made.items()
    }


@pytest.fixture(scope="module")
def champion(workplace: Workplace, tiny_base: Path) -> Manifest:
    """A version in production that knows money well and access badly."""
    outcome = workplace.train(
        workplace.assign(tiny_base, "classification", adaptable=True, rows=splits(mislabelled=(6, 7)))
    )
    workplace.models.set_alias(
        "tiny-classification", "production", outcome.manifest.number, expected=None, actor="test", reason=""
    )
    return outcome.manifest


def scores_by_domain(evaluation: SplitEvaluation) -> Mapping[str, float]:
    """The accuracy of each domain."""
    return {each.value: each.metric for each in evaluation.slices}


def test_a_version_that_is_better_on_average_and_worse_on_a_slice_is_refused(
    workplace: Workplace, tiny_base: Path, champion: Manifest
) -> None:
    """It gains points in all and loses more than five on money: the gate of slices fails, that of the metric holds, and no alias may move there."""
    assignment = workplace.assign(
        tiny_base, "classification", adaptable=True, rows=splits(mislabelled=(0,)), gates=GATES
    )
    manifest = workplace.train(assignment).manifest
    before, after = (each.evaluations["fp32"]["test"] for each in (champion, manifest))
    assert after.metrics["accuracy"] > before.metrics["accuracy"] + 0.05
    assert scores_by_domain(after)["money"] < scores_by_domain(before)["money"] - 0.05

    assert manifest.state == "published"
    assert manifest.comparison is not None
    assert manifest.comparison.champion == str(champion.version)
    assert manifest.comparison.gain == pytest.approx(after.metrics["accuracy"] - before.metrics["accuracy"])
    assert manifest.comparison.low < manifest.comparison.gain < manifest.comparison.high
    assert manifest.comparison.slices[0].name == "domain=money"
    assert {check.name: check.passed for check in manifest.quality_checks} == {
        "champion": True,
        "slices": False,
    }


def test_a_version_that_gives_up_nothing_passes(
    workplace: Workplace, tiny_base: Path, champion: Manifest
) -> None:
    """The same gates, a dataset without a fault."""
    assignment = workplace.assign(
        tiny_base, "classification", adaptable=True, rows=splits(mislabelled=()), gates=GATES
    )
    manifest = workplace.train(assignment).manifest
    assert all(check.passed for check in manifest.quality_checks)
    assert len(manifest.quality_checks) == 2


def test_without_a_champion_nothing_is_lost(workplace: Workplace, tiny_base: Path) -> None:
    """The first version of a model has nobody to be worse than; the other gates are measured all the same."""
    gates = QualityGates(
        champion="tiny-classification@nowhere",
        least_metric=0.5,
        most_points_lost=0,
        most_label_points_lost=0,
        most_calibration_error=0.5,
        most_size_bytes=10,
        most_latency_ms=1000,
    )
    assignment = workplace.assign(tiny_base, "classification", adaptable=False, gates=gates)
    manifest = workplace.train(assignment).manifest
    assert manifest.comparison is None
    assert {check.name: check.passed for check in manifest.quality_checks} == {
        "metric": True,
        "champion": True,
        "labels": True,
        "calibration": True,
        "size": False,
        "latency": True,
    }


def test_a_champion_that_cannot_answer_fails_what_asks_for_it(
    workplace: Workplace, tiny_base: Path, champion: Manifest
) -> None:
    """Its files are damaged: the version is published, and the gate says why nothing could be compared."""
    graph = champion.variants["fp32"].graphs["model"].file
    (blob,) = workplace.root.glob(f"store/blobs/sha256/*/{graph.digest}")
    sound = blob.read_bytes()
    try:
        blob.write_bytes(sound[:100])
        assignment = workplace.assign(tiny_base, "classification", adaptable=False, gates=GATES)
        manifest = workplace.train(assignment).manifest
    finally:
        blob.write_bytes(sound)
    assert manifest.state == "published"
    assert {check.name: check.passed for check in manifest.quality_checks} == {
        "champion": False,
        "slices": False,
    }
    assert "could not be compared with" in manifest.quality_checks[0].detail


def answered(rows: Sequence[Row], right: Sequence[bool]) -> list[list[LabelScore]]:
    """The label of each row, or another one."""
    return [
        [LabelScore((row.label or "") if hit else "other", 0.9, True)]
        for row, hit in zip(rows, right, strict=True)
    ]


def made_comparison(before: Sequence[bool], after: Sequence[bool]) -> Comparison:
    """Two versions that answer a hundred rows of two labels: those of `a` first."""
    rows = [Row(str(i), label="a" if i < 80 else "b") for i in range(100)]
    split = Split("test", rows, ("a", "b", "other"))
    (was, was_rows), (now, now_rows) = (
        (evaluate_classification(split, answers), outcomes_of(rows, answers))
        for answers in (answered(rows, before), answered(rows, after))
    )
    return compare("m@1", "test", before=(was, was_rows), after=(now, now_rows))


EVALUATION = SplitEvaluation(
    row_count=100,
    metrics={"accuracy": 0.9, "calibration_error": 0.02},
    per_label={},
    reliability=(ReliabilityBin(count=100, mean_score=0.92, share_right=0.9),),
)
ALL_GATES = QualityGates(
    champion="m@1",
    least_metric=0.85,
    most_points_lost=1,
    most_label_points_lost=2,
    most_slice_points_lost=3,
    most_calibration_error=0.05,
    most_size_bytes=200,
    most_latency_ms=10,
)


def checked(
    gates: QualityGates,
    comparison: Comparison | None,
    *,
    evaluation: SplitEvaluation = EVALUATION,
    failure: str = "",
) -> dict[str, QualityCheck]:
    """The checks of a made-up version, by name."""
    found = quality_checks(
        gates,
        "classification",
        "test",
        {"fp32": evaluation},
        {"fp32": comparison} if comparison else {},
        champion_failure=failure,
        served=Served("int8", 100, 5),
    )
    return {check.name: check for check in found}


def checks(gates: QualityGates, comparison: Comparison | None) -> dict[str, bool]:
    """Which gates hold for a made-up version."""
    return {name: check.passed for name, check in checked(gates, comparison).items()}


def told(found: Mapping[str, QualityCheck]) -> dict[str, tuple[float | None, float, str]]:
    """What each check measured, what it allows, and the unit of both."""
    return {name: (each.measured, each.limit, each.unit) for name, each in found.items()}


def test_each_check_tells_its_figures_with_their_unit() -> None:
    """Points are hundredths: five below the metric that is asked are -5 where it is more; ten per cent fewer right answers are ten lost."""
    comparison = made_comparison([True] * 100, [True] * 90 + [False] * 10)
    found = told(checked(ALL_GATES.model_copy(update={"fewest_rows": 10}), comparison))
    slices, labels = found.pop("slices"), found.pop("labels")
    assert found == {
        "metric": (pytest.approx(-5), 0, "points"),
        "champion": (pytest.approx(10), 1, "points"),
        "calibration": (0.02, 0.05, "share"),
        "size": (100, 200, "bytes"),
        "latency": (5, 10, "ms"),
    }
    assert labels == (pytest.approx(100 * (1 - 2 / 3)), 2, "points")  # F1 of b: 10 of 20 found, none wrongly
    assert slices == (None, 3, "points")  # the rows have no columns


def test_what_could_not_be_measured_has_no_figure_and_has_failed() -> None:
    """No answer to hold scores to, a champion that cannot answer, labels without rows enough: each says why."""
    unanswered = EVALUATION.model_copy(update={"reliability": ()})
    found = checked(ALL_GATES, None, evaluation=unanswered, failure="its files are damaged")
    unmeasured = {name: each for name, each in found.items() if each.measured is None}
    assert set(unmeasured) == {"calibration", "champion", "labels", "slices"}
    assert not any(each.passed for each in unmeasured.values())
    assert "no row of test was answered" in unmeasured["calibration"].detail
    assert "its files are damaged" in unmeasured["champion"].detail
    few = checked(
        ALL_GATES.model_copy(update={"fewest_rows": 99}), made_comparison([True] * 100, [True] * 100)
    )["labels"]
    assert (few.measured, few.passed) == (None, False)


def test_nothing_is_measured_against_a_champion_that_is_not_there_yet() -> None:
    """The gates hold, and tell no figure that looks like a draw."""
    found = checked(ALL_GATES, None)
    against = {name: (found[name].measured, found[name].passed) for name in ("champion", "labels", "slices")}
    assert against == dict.fromkeys(against, (None, True))


def test_a_label_is_compared_only_where_it_has_rows_enough() -> None:
    """Twenty rows of b lose forty points of recall: a gate that compares labels of ten rows sees it, one of thirty does not."""
    comparison = made_comparison([True] * 100, [True] * 92 + [False] * 8)
    assert comparison.gain == pytest.approx(-0.08)
    assert comparison.labels[0].name == "b"
    gates = QualityGates(champion="m@1", most_label_points_lost=10)
    assert checks(gates, comparison) == {"labels": True}
    assert checks(gates.model_copy(update={"fewest_rows": 10}), comparison) == {"labels": False}


@pytest.mark.parametrize(
    ("gate", "name"),
    [
        ({"least_metric": 0.91}, "metric"),
        ({"most_calibration_error": 0.01}, "calibration"),
        ({"most_size_bytes": 99}, "size"),
        ({"most_latency_ms": 4.9}, "latency"),
        ({"most_points_lost": 7.9}, "champion"),
    ],
)
def test_each_gate_fails_by_itself(gate: dict[str, float], name: str) -> None:
    """And holds where it asks for no more than there is; one that is not set is not looked at."""
    comparison = made_comparison([True] * 100, [True] * 92 + [False] * 8)
    assert checks(QualityGates(**gate), comparison) == {name: False}
    enough = {
        "least_metric": 0.9,
        "most_calibration_error": 0.02,
        "most_size_bytes": 100,
        "most_latency_ms": 5,
        "most_points_lost": 8.001,
    }
    assert checks(QualityGates(**{key: enough[key] for key in gate}), comparison) == {name: True}


def test_labels_are_those_of_the_tiny_world() -> None:
    """The mislabelled rows of this file have a label that the task knows, and another one than theirs."""
    assert all(topic_label(topic, seed=1) in CLASSIFICATION_LABELS for topic in TOPICS)
    assert all(topic_label(topic, seed=1) != topic_label(topic) for topic in TOPICS)


def test_the_gain_over_random_weights_is_measured(workplace: Workplace, tiny_base: Path) -> None:
    """Asked for, it is told with an interval around it: what the same network reaches from nothing, and the difference to the version."""
    assignment = workplace.assign(tiny_base, "classification", adaptable=True)
    spec = assignment.spec.model_copy(update={"measures_gain": True})
    outcome = workplace.train(assignment.model_copy(update={"spec": spec}))
    manifest = outcome.manifest
    *_, last = (event for event in outcome.events if isinstance(event, Progress))
    assert last.best_metric == max(
        point.metric for point in manifest.training_curve
    )  # not the other network's
    accuracy = manifest.evaluations["fp32"]["test"].metrics["accuracy"]
    assert manifest.gain is not None
    assert manifest.gain.row_count == 36
    assert manifest.gain.from_scratch + manifest.gain.gain == pytest.approx(accuracy)
    assert manifest.gain.low <= manifest.gain.gain <= manifest.gain.high
    usual = workplace.train(workplace.assign(tiny_base, "classification", adaptable=True)).manifest
    assert usual.gain is None
    assert usual.weights == manifest.weights
