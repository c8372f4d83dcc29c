"""The whole look at a dataset."""

from collections.abc import Mapping, Sequence

from shared.data.inspection.findings import Finding, Kind, Placed
from shared.data.inspection.labels import labels
from shared.data.inspection.mentions import mentions
from shared.data.inspection.repeats import repeats
from shared.data.inspection.sizes import sizes
from shared.data.rows import Row, SplitName

_GRAVEST_FIRST = list(Kind)


def inspect(splits: Mapping[SplitName, Sequence[Row]]) -> list[Finding]:
    """Return what is doubtful about rows that check_row and check_dataset have passed, the gravest first."""
    rows = [
        Placed(row, split, number)
        for split, of_split in splits.items()
        for number, row in enumerate(of_split, start=1)
    ]
    found = [*repeats(rows), *labels(rows), *mentions(rows), *sizes(splits)]
    return sorted(found, key=lambda finding: _GRAVEST_FIRST.index(finding.kind))
