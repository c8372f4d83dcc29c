"""Scores of parts of a split: the rows that share a value of a column, such as a domain, a language or a group of people."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from shared.data.inspection.columns import MOST_VALUES
from shared.scoring.intervals import interval
from shared.scoring.outcomes import Outcomes, metric_of
from shared.store.evaluation import SliceScores


def slice_scores(rows: Outcomes, columns: Sequence[Mapping[str, str]]) -> tuple[SliceScores, ...]:
    """Return the scores of every value of every column, by column and value; element i of `columns` belongs to row i.

    Columns with more than MOST_VALUES values are left out, which an inspection of the rows tells.
    """
    numbers: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, of_row in enumerate(columns):
        for column, value in of_row.items():
            numbers[column][value].append(i)
    return tuple(
        _scores(column, value, rows[of_value])
        for column, values in sorted(numbers.items())
        if len(values) <= MOST_VALUES
        for value, of_value in sorted(values.items())
    )


def _scores(column: str, value: str, rows: Outcomes) -> SliceScores:
    low, high = interval(rows)
    return SliceScores(
        column=column,
        value=value,
        row_count=len(rows),
        metric=float(metric_of(rows.sum(axis=0))),
        low=low,
        high=high,
    )


def widest_gap(
    slices: Sequence[SliceScores], *, fewest_rows: int
) -> dict[str, tuple[SliceScores, SliceScores]]:
    """Return the worst and the best value of each column, among those with enough rows to tell; columns with fewer than two are left out."""
    of_column: dict[str, list[SliceScores]] = defaultdict(list)
    for each in slices:
        if each.row_count >= fewest_rows:
            of_column[each.column].append(each)
    return {
        column: (min(values, key=lambda s: s.metric), max(values, key=lambda s: s.metric))
        for column, values in of_column.items()
        if len(values) > 1
    }
