"""The whole look at rows as they are; how they read to a base's tokenizer is for the trainer to see."""

from collections.abc import Sequence

from shared.data.inspection.columns import columns
from shared.data.inspection.findings import Finding, Placed, by_gravity
from shared.data.inspection.ids import ids
from shared.data.inspection.labels import labels
from shared.data.inspection.mentions import mentions
from shared.data.inspection.repeats import repeats
from shared.data.inspection.sizes import sizes


def inspect(rows: Sequence[Placed]) -> list[Finding]:
    """Return what is doubtful about rows that check_row and check_dataset have passed, the gravest first."""
    found = [*repeats(rows), *labels(rows), *mentions(rows), *sizes(rows), *ids(rows), *columns(rows)]
    return by_gravity(found)
