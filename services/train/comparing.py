"""Two versions beside each other, as far as both were scored on the same rows. Blocks; any thread may call."""

from dataclasses import dataclass

from shared.errors import DatasetNotFoundError, VersionsNotComparableError
from shared.names import DatasetName, parse_reference
from shared.scoring.comparison import label_changes, slice_changes
from shared.store.datasets import DatasetStore
from shared.store.evaluation import Change
from shared.store.manifest import Manifest, ProvingSplit
from shared.store.models import ModelStore

_SPLITS: tuple[ProvingSplit, ...] = ("validation", "test")


@dataclass(frozen=True, slots=True)
class SplitComparison:
    """Both versions on one split."""

    split: ProvingSplit
    row_count: int
    metrics: tuple[Change, ...]
    labels: tuple[Change, ...]
    slices: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class VersionComparison:
    """Two versions."""

    before: Manifest
    after: Manifest
    splits: tuple[SplitComparison, ...]


class Comparisons:
    """Compares versions of the store."""

    def __init__(self, models: ModelStore, datasets: DatasetStore) -> None:
        """`datasets` tells which rows a version was scored on."""
        self._models = models
        self._datasets = datasets

    def compare(self, before: str, after: str) -> VersionComparison:
        """Compare what two references mean. Raises NameMalformedError, the three NOT_FOUNDs, VersionsNotComparableError."""
        one, other = (
            self._models.manifest(self._models.resolve(parse_reference(reference, field=field)))
            for field, reference in (("before", before), ("after", after))
        )
        common = self._common_splits(one, other) if one.task == other.task else []
        if not common:
            raise VersionsNotComparableError(
                f"{one.version} and {other.version} were scored on different rows, or do different tasks.",
                before=str(one.version),
                after=str(other.version),
            )
        return VersionComparison(one, other, tuple(_compared(one, other, split) for split in common))

    def _common_splits(self, one: Manifest, other: Manifest) -> list[ProvingSplit]:
        digests = [self._digests(manifest) for manifest in (one, other)]
        scored = [manifest.evaluations.get("fp32", {}) for manifest in (one, other)]
        return [
            split
            for split in _SPLITS
            if all(split in each for each in scored) and len({each.get(split) for each in digests}) == 1
        ]

    def _digests(self, manifest: Manifest) -> dict[ProvingSplit, str]:
        """Name the rows of each split; where the snapshot is gone, its own name stands for them."""
        name = manifest.lineage.dataset
        try:
            snapshot = self._datasets.snapshot(DatasetName.parse(name))
        except DatasetNotFoundError:
            return dict.fromkeys(_SPLITS, name)
        return {split: snapshot.splits[split].digest for split in _SPLITS if split in snapshot.splits}


def _compared(before: Manifest, after: Manifest, split: ProvingSplit) -> SplitComparison:
    was, now = before.evaluations["fp32"][split], after.evaluations["fp32"][split]
    return SplitComparison(
        split,
        now.row_count,
        tuple(
            Change(name=name, row_count=now.count_of(name), before=was.metrics[name], after=value)
            for name, value in now.metrics.items()
            if name in was.metrics
        ),
        label_changes(was, now),
        slice_changes(was, now),
    )
