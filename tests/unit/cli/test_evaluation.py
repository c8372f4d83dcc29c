"""What `tagsmith eval` and `tagsmith compare` say beside their figures."""

import pytest
from rich.table import Table

from services.cli.comparing import _tables
from services.cli.evaluation import Part, SplitChoice, doubts
from shared.data.rows import Row
from shared.store.evaluation import SplitEvaluation


def told(rows: list[Row], *, split: SplitChoice = "all", answered: float = 1.0) -> list[str]:
    """What is said of rows for a version that knows one label, and answers so many of them."""
    scores = SplitEvaluation(row_count=len(rows), metrics={"answered": answered}, per_label={})
    return list(doubts("m@1", "classification", split, Part("x.csv", rows, ["a"]), scores))


def test_train_rows_among_those_that_are_scored_are_told() -> None:
    """Where the file gives them to train; not where a hash does, nor of a split that was asked for."""
    rows = [Row("one", label="a", split="train"), Row("two", label="a", split="test")]
    (line,) = told(rows)
    assert line.startswith("1 of the 2 rows are of train")
    assert "--split test" in line
    assert told(rows[:1], split="train") == []
    assert told([Row("one", label="a")]) == []


def test_a_label_that_may_mean_none_is_told() -> None:
    """The version does not know it and abstains; one that always answers would know none better."""
    rows = [Row("one", label="a"), Row("what?", label="oos")]
    (line,) = told(rows, answered=0.5)
    assert "does not know 'oos'" in line
    assert "--out-of-scope" in line
    assert told(rows) == []
    assert told(rows[:1], answered=0.5) == []


@pytest.mark.parametrize(
    ("count", "more"),
    [(12, ["... and 2 more labels of test, which lost less; --json has them all"]), (10, [])],
)
def test_labels_that_are_not_shown_are_counted(count: int, more: list[str]) -> None:
    """Ten are shown of each split."""
    changes = [{"name": str(n), "row_count": 1, "before": 0.5, "after": 0.5} for n in range(count)]
    record = {"splits": {"test": {"row_count": 9, "metrics": [], "labels": changes, "slices": []}}}
    table, *lines = _tables(record)
    assert isinstance(table, Table)
    assert table.row_count == 10
    assert lines == more
