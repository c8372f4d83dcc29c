"""Splits that are too small to prove anything."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from shared.data.inspection.findings import Finding, Kind
from shared.data.rows import Row, SplitName

FEW_VALIDATION: Final = 30  # one row of so many is three points of accuracy


def sizes(splits: Mapping[SplitName, Sequence[Row]]) -> Iterator[Finding]:
    """Look at validation and test."""
    count = len(splits.get("validation", ()))
    if count < FEW_VALIDATION:
        yield Finding(
            Kind.SMALL_VALIDATION,
            f"{count} validation rows: early stopping, the gate and the golden examples rest on them, and so few say little",
            count,
        )
    if not splits.get("test"):
        yield Finding(Kind.NO_TEST, "no test rows, so versions will have no test metrics", 0)
