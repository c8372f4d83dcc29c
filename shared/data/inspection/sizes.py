"""Splits that are too small to prove anything."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from shared.data.inspection.findings import Finding, Kind, Placed

FEW_VALIDATION: Final = 30  # one row of so many is three points of accuracy


def sizes(rows: Sequence[Placed]) -> Iterator[Finding]:
    """Look at validation and test."""
    counts = Counter(placed.split for placed in rows if not placed.row.out_of_scope)
    count = counts["validation"]
    if count < FEW_VALIDATION:
        yield Finding(
            Kind.SMALL_VALIDATION,
            f"{count} validation rows: early stopping, the gate and the golden examples rest on them, and so few say little",
            count,
        )
    if not counts["test"]:
        yield Finding(Kind.NO_TEST, "no test rows, so versions will have no test metrics", 0)
