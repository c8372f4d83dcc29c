"""Rows that cannot be told apart by the names that their owner gave them."""

from collections import Counter
from collections.abc import Iterator, Sequence

from shared.data.inspection.findings import Finding, Kind, Placed, places


def ids(rows: Sequence[Placed]) -> Iterator[Finding]:
    """Look at the ids of all splits; rows without one are named by their place."""
    counts = Counter(placed.row.id for placed in rows if placed.row.id)
    shared = [placed for placed in rows if counts[placed.row.id] > 1]
    if shared:
        yield Finding(
            Kind.REPEATED_ID,
            "the row's id is another row's too, and reports name rows by their ids: give each its own, or leave them out",
            len(shared),
            places(shared),
        )
