"""What `tagsmith data import` says of a dataset beside its counts."""

import io
from typing import get_args

import pytest
import typer
from typer.core import TyperCommand

from services.cli.data import cautions, cleaned, delete
from services.cli.failures import CommandError
from services.cli.options import CleanOption
from shared.data.cleaning.steps import STEPS
from shared.stubs.training.v1 import training_pb2 as pb
from shared.stubs.training.v1.training_pb2_grpc import TrainingServiceServicer
from tests.unit.cli.servers import serving


class Listing(TrainingServiceServicer):
    """Has one dataset, and deletes nothing."""

    def ListDatasets(self, request: pb.ListDatasetsRequest, context: object) -> pb.ListDatasetsResponse:
        """See training.proto."""
        return pb.ListDatasetsResponse(datasets=[pb.Dataset(name=f"support@sha256:{'0' * 64}")])


@pytest.mark.parametrize("name", ["nosuch", f"nosuch@sha256:{'0' * 64}"])
def test_nobody_is_asked_about_a_dataset_that_is_not_there(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command ends before its question; about another one it is asked, and heard."""
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    with serving(training=Listing()) as session:
        context = typer.Context(TyperCommand("delete"), obj=session)
        with pytest.raises(CommandError, match="there is no dataset nosuch") as raised:
            delete(context, name)
        assert raised.value.explained.reason == "DATASET_NOT_FOUND"
        with pytest.raises(typer.Abort):
            delete(context, "support")


def _finding(message: str, count: int, places: list[str]) -> dict[str, object]:
    return {"kind": "LEAK", "message": message, "count": count, "places": places}


def test_a_good_dataset_needs_no_caution() -> None:
    """Nothing was found: nothing to say."""
    assert list(cautions({"findings": []})) == []


def test_each_finding_has_a_line_with_its_first_places() -> None:
    """Where there are more than are shown, the line says so; a finding about no rows has none."""
    few, many, none = cautions(
        {
            "findings": [
                _finding("a text leaks", 2, ["a.csv:3", "a.csv:9"]),
                _finding("texts come twice", 31, [f"a.csv:{line}" for line in range(1, 21)]),
                _finding("no test rows", 0, []),
            ]
        }
    )
    assert few == "caution: a text leaks (2x: a.csv:3, a.csv:9)"
    assert many == "caution: texts come twice (31x: a.csv:1, a.csv:2, a.csv:3, a.csv:4, a.csv:5, ...)"
    assert none == "caution: no test rows"


def test_each_cleaning_step_has_a_line() -> None:
    """What it changed or dropped, and where first; a step that found nothing says so."""
    changed, dropped, idle = cleaned(
        {
            "cleaning_reports": [
                {"step": "nfc", "changed_count": 1, "dropped_count": 0, "places": ["a.csv:3"]},
                {
                    "step": "drop-leaks",
                    "changed_count": 0,
                    "dropped_count": 6,
                    "places": [f"a.csv:{n}" for n in range(6)],
                },
                {"step": "trim-spans", "changed_count": 0, "dropped_count": 0, "places": []},
            ]
        }
    )
    assert changed == "cleaned: nfc changed 1 (a.csv:3)"
    assert dropped == "cleaned: drop-leaks dropped 6 (a.csv:0, a.csv:1, a.csv:2, a.csv:3, a.csv:4, ...)"
    assert idle == "cleaned: trim-spans had nothing to do"


def test_the_help_names_every_cleaning_step_in_its_order() -> None:
    """The command knows no more of them than their names."""
    _, option = get_args(CleanOption)
    named = option.help.partition(": ")[2].removesuffix("; repeatable.")
    assert named == f"{', '.join(STEPS[:-1])} or {STEPS[-1]}"
