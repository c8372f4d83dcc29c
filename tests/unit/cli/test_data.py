"""What `tagsmith data import` says of a dataset beside its counts."""

from typing import get_args

from services.cli.data import cautions, cleaned
from services.cli.options import CleanOption
from shared.data.cleaning.steps import STEPS


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
