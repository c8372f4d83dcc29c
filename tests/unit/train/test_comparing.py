"""Versions beside each other: only what was scored on the same rows, what was lost first."""

from pathlib import Path

import pytest

from services.train.comparing import Comparisons
from shared.data.rows import Row, SplitName
from shared.errors import VersionNotFoundError, VersionsNotComparableError
from shared.store.datasets import DatasetStore
from shared.store.evaluation import LabelScores, SliceScores, SplitEvaluation
from shared.store.manifest import Manifest
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import tiny_manifest

TRAIN = [Row(f"train {i}", label="ab"[i % 2]) for i in range(4)]
VALIDATION = [Row("validation", label="a")]
TEST = [Row("test one", label="a"), Row("test two", label="b")]


class Desk:
    """A store with datasets and versions whose scores are made up."""

    def __init__(self, folder: Path) -> None:
        objects = MemoryStore()
        self.models, self.datasets = ModelStore(objects), DatasetStore(objects)
        self.comparisons = Comparisons(self.models, self.datasets)
        self._folder = folder

    def dataset(self, **splits: list[Row]) -> str:
        """Store a snapshot; return its name."""
        rows: dict[SplitName, list[Row]] = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
        rows.update(splits)  # type: ignore[arg-type]
        return self.datasets.save("support", "classification", rows).name

    def publish(
        self,
        dataset: str,
        accuracy: float,
        of_labels: dict[str, float],
        of_slices: dict[str, float],
        **change: object,
    ) -> Manifest:
        """A version of `support` with these scores on test."""
        name = self.models.reserve("support", "job-0000000000000000")
        manifest, paths = tiny_manifest(
            self._folder / str(name.number), "classification", model="support", number=name.number
        )
        evaluation = SplitEvaluation(
            row_count=2,
            metrics={"accuracy": accuracy},
            per_label={
                label: LabelScores(precision=f1, recall=f1, f1=f1, support=1)
                for label, f1 in of_labels.items()
            },
            slices=tuple(
                SliceScores(column="domain", value=value, row_count=1, metric=metric, low=0, high=1)
                for value, metric in of_slices.items()
            ),
        )
        manifest = manifest.model_copy(
            update={
                "evaluations": {"fp32": {"test": evaluation}},
                "lineage": manifest.lineage.model_copy(update={"dataset": dataset}),
                **change,
            }
        )
        for path in paths.values():
            self.models.put_file(path)
        self.models.publish(manifest)
        return manifest


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty one."""
    return Desk(tmp_path)


def test_what_was_lost_stands_first(desk: Desk) -> None:
    """Metrics by name; labels and slices by how much they lost; train may have grown, as test is what it was."""
    desk.publish(desk.dataset(), 0.8, {"a": 0.9, "b": 0.5}, {"card": 0.4, "loan": 0.9})
    grown = desk.dataset(train=[*TRAIN, Row("more", label="a")])
    desk.publish(grown, 0.9, {"a": 0.7, "b": 0.8}, {"card": 0.9, "loan": 0.8})
    (test,) = desk.comparisons.compare("support@1", "support@2").splits
    assert (test.split, test.row_count) == ("test", 2)
    assert [(each.name, each.before, each.after) for each in test.metrics] == [("accuracy", 0.8, 0.9)]
    assert [(each.name, each.before, each.after) for each in test.labels] == [
        ("a", 0.9, 0.7),
        ("b", 0.5, 0.8),
    ]
    assert [each.name for each in test.slices] == ["domain=loan", "domain=card"]


def test_numbers_of_other_rows_are_not_compared(desk: Desk) -> None:
    """Another test row makes another test: there is no split left that says anything."""
    desk.publish(desk.dataset(), 0.8, {}, {})
    desk.publish(desk.dataset(test=[*TEST, Row("test three", label="a")]), 0.9, {}, {})
    with pytest.raises(VersionsNotComparableError) as caught:
        desk.comparisons.compare("support@1", "support@2")
    assert caught.value.metadata == {"before": "support@1", "after": "support@2"}


def test_of_a_snapshot_that_is_gone_the_name_counts(desk: Desk) -> None:
    """Two versions of one deleted snapshot were scored on the same rows; of two, nobody knows."""
    gone = [f"support@sha256:{digit * 64}" for digit in "12"]
    for dataset, accuracy in ((gone[0], 0.8), (gone[0], 0.9), (gone[1], 0.9)):
        desk.publish(dataset, accuracy, {}, {})
    (test,) = desk.comparisons.compare("support@1", "support@2").splits
    assert test.metrics[0].after == 0.9
    with pytest.raises(VersionsNotComparableError):
        desk.comparisons.compare("support@1", "support@3")


def test_a_version_that_is_not_there_is_told(desk: Desk) -> None:
    """As for every other reference."""
    desk.publish(desk.dataset(), 0.8, {}, {})
    with pytest.raises(VersionNotFoundError):
        desk.comparisons.compare("support@1", "support@9")
