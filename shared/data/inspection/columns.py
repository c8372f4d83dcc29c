"""Columns that were kept with the rows and that no version is scored by, because they have too many values."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from shared.data.inspection.findings import Finding, Kind, Placed
from shared.data.rows import Row, SplitName

MOST_VALUES: Final = 200  # of a column in a split; one with more tells rows apart, not parts of a split
_SCORED: Final[tuple[SplitName, ...]] = ("validation", "test")


def crowded_columns(rows: Iterable[Row]) -> dict[str, int]:
    """Return the columns that `rows` are not scored by, sorted, and how many different values each has."""
    values: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for column, value in row.columns:
            values[column].add(value)
    return {name: len(values[name]) for name in sorted(values) if len(values[name]) > MOST_VALUES}


def why_unscored(column: str, value_count: int, rows: str) -> str:
    """Say that `rows`, such as `test`, are not scored by a column, and what to do."""
    return (
        f"{rows} is not scored by the column {column!r}, which has {value_count} different values there: of more than {MOST_VALUES},"
        " each would say little; give the rows a coarser one"
    )


def columns(rows: Sequence[Placed]) -> Iterator[Finding]:
    """Look at the splits that versions are scored on."""
    for split in _SCORED:
        of_split = (each.row for each in rows if each.split == split and not each.row.out_of_scope)
        for column, count in crowded_columns(of_split).items():
            yield Finding(Kind.UNSCORED_COLUMN, why_unscored(column, count, split), count)
