"""The rows of a job, read from its snapshot and fit to learn from.

Owns the last look at a dataset before time is spent on it: a snapshot was checked when it was imported, but its rules may have
been others then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from services.train.spec import JobSpec
from shared.data.rows import SPLIT_NAMES, Row, SplitName, check_row
from shared.data.splits import check_dataset
from shared.errors import DatasetInvalidError, Problem
from shared.names import DatasetName
from shared.store.datasets import DatasetStore
from shared.store.manifest import Task


@dataclass(frozen=True, slots=True)
class Corpus:
    """Checked rows. `labels` are those of train, sorted: the order of the logits."""

    task: Task
    labels: tuple[str, ...]
    splits: dict[SplitName, list[Row]]  # train and validation have rows, test may have none
    out_of_scope: dict[SplitName, list[Row]] = field(default_factory=dict)  # rows that belong to no label

    @property
    def all_rows(self) -> dict[SplitName, list[Row]]:
        """Every row of every split, those out of scope last."""
        return {split: [*rows, *self.out_of_scope.get(split, ())] for split, rows in self.splits.items()}


def read_corpus(datasets: DatasetStore, spec: JobSpec) -> Corpus:
    """Read and check the rows that `spec` names. Raises DatasetInvalidError with every problem, DatasetNotFoundError."""
    task, splits = spec.task, read_rows(datasets, spec.dataset, spec.task)
    problems = [
        *(problem for split, rows in splits.items() for problem in _row_problems(split, rows, task)),
        *check_dataset(splits, task),
    ]
    if problems:
        raise DatasetInvalidError(f"{spec.dataset} cannot be used.", problems, dataset=spec.dataset)
    labels = tuple(sorted({label for row in splits["train"] for label in row.labels}))
    return Corpus(
        task,
        labels,
        {split: [row for row in rows if not row.out_of_scope] for split, rows in splits.items()},
        {split: [row for row in rows if row.out_of_scope] for split, rows in splits.items()},
    )


def read_rows(datasets: DatasetStore, dataset: str, task: Task) -> dict[SplitName, list[Row]]:
    """Read the rows of a snapshot, each with its place there. Raises DatasetInvalidError if they are for another task, DatasetNotFoundError."""
    snapshot = datasets.snapshot(DatasetName.parse(dataset))
    if snapshot.task != task:
        problem = Problem("task", f"the dataset is for {snapshot.task}; the job was accepted for {task}")
        raise DatasetInvalidError(f"{dataset} cannot be used.", [problem], dataset=dataset)
    return {
        split: [
            replace(row, where=f"{split}:{number}")
            for number, row in enumerate(datasets.rows(snapshot, split), start=1)
        ]
        for split in SPLIT_NAMES
    }


def _row_problems(split: SplitName, rows: Sequence[Row], task: Task) -> list[Problem]:
    return [
        problem
        for i, row in enumerate(rows, start=1)
        for problem in check_row(row, task, where=f"{split}:{i}")
    ]
