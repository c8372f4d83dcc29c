"""What `tagsmith data import` says of a dataset beside its counts."""

from services.cli.data import cautions


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
