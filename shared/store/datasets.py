"""Datasets: immutable snapshots of rows, named by what they hold.

A snapshot's digest covers its task and its rows, in order; saving the same rows again finds the snapshot that is there. It
exists when its summary does, which is written after the rows. A bare dataset name means the snapshot that was imported last,
by an append-only folder of numbered records, so that importing an older state again goes back to it. Blocking; safe from any
thread and process, because all state is in the store.
"""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.data.rows import SPLIT_NAMES, Row, SplitName
from shared.errors import ArtifactCorruptError, DatasetNotFoundError
from shared.names import DatasetName
from shared.store import layout
from shared.store.failures import corrupt, store_errors
from shared.store.manifest import Digest, Task
from shared.store.port import KeyExistsError, KeyMissingError, ObjectStore
from shared.store.records import create_record, last_number, read_record, seal
from shared.store.row_lines import from_line, to_lines


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitSummary(_Record):
    """What a split holds."""

    digest: Digest  # SHA-256 of its canonical JSON lines
    row_count: Annotated[int, Field(ge=1)]
    label_counts: dict[
        str, int
    ]  # rows of a label (classification, multi-label) or mentions of it (entities), by label
    out_of_scope_count: int = 0  # rows, of `row_count`, that belong to no label


class Snapshot(_Record):
    """`snapshot.json`: the summary of a snapshot. Splits without rows are left out; what has a default is not in older ones."""

    name: str  # name@sha256:<digest>
    task: Task
    splits: dict[SplitName, SplitSummary]
    labels: tuple[str, ...]  # of train, sorted
    create_time: AwareDatetime  # when it was stored first
    cleaning: tuple[
        str, ...
    ] = ()  # the steps of shared.data.cleaning that its rows came out of then, in order


class _Latest(_Record):
    digest: Digest


class _Import(_Record):
    time: AwareDatetime


class DatasetStore:
    """Saves, finds and reads snapshots."""

    def __init__(self, objects: ObjectStore) -> None:
        """Keep datasets in `objects`."""
        self._objects = objects

    def save(
        self,
        name: str,
        task: Task,
        rows: Mapping[SplitName, Sequence[Row]],
        cleaning: Sequence[str] = (),
    ) -> Snapshot:
        """Store rows, which are checked already, as a snapshot of dataset `name`, and let the bare name mean it.

        What is damaged of that snapshot is mended. Rows that are there already remember the `cleaning` that they were stored with first.
        """
        lines = {split: to_lines(rows[split]) for split in SPLIT_NAMES if rows.get(split)}
        splits = {
            split: SplitSummary(
                digest=hashlib.sha256(data).hexdigest(),
                row_count=len(rows[split]),
                out_of_scope_count=sum(row.out_of_scope for row in rows[split]),
                label_counts=dict(
                    sorted(Counter(label for row in rows[split] for label in row.labels).items())
                ),
            )
            for split, data in lines.items()
        }
        digest = _digest(task, splits)
        for split, data in lines.items():
            self._put(layout.split_rows(name, digest, split), data)
        snapshot = Snapshot(
            name=str(DatasetName(name, digest)),
            task=task,
            splits=splits,
            labels=tuple(splits["train"].label_counts) if "train" in splits else (),
            create_time=datetime.now(UTC),
            cleaning=tuple(cleaning),
        )
        try:
            create_record(self._objects, layout.snapshot(name, digest), snapshot)
        except KeyExistsError:
            try:
                snapshot = self._read(name, digest)
            except ArtifactCorruptError:
                self._put(layout.snapshot(name, digest), seal(snapshot.model_dump_json().encode()))
            self._append(layout.imports(name, digest), _Import(time=datetime.now(UTC)))
        self._point(name, digest)
        return snapshot

    def snapshot(self, name: DatasetName) -> Snapshot:
        """Return a snapshot; of a bare name, the one imported last. Raises DatasetNotFoundError, ArtifactCorruptError."""
        digest = name.digest or self._latest(name.dataset)
        if not digest:
            raise _unknown(name)
        try:
            return self._read(name.dataset, digest)
        except KeyMissingError:
            raise _unknown(name) from None

    def import_time(self, snapshot: Snapshot) -> datetime:
        """Return when its rows were imported last. Raises ArtifactCorruptError."""
        name = DatasetName.parse(snapshot.name)
        folder = layout.imports(name.dataset, name.digest)
        last = last_number(self._objects, folder)
        if not last:
            return snapshot.create_time
        return read_record(self._objects, layout.numbered(folder, last), _Import).time

    def rows(self, snapshot: Snapshot, split: SplitName) -> list[Row]:
        """Return the rows of a split in their order, each with its split; none for a split that the snapshot lacks.

        Raises ArtifactCorruptError if they are not the rows that were saved.
        """
        summary = snapshot.splits.get(split)
        if summary is None:
            return []
        name = DatasetName.parse(snapshot.name)
        key = layout.split_rows(name.dataset, name.digest, split)
        try:
            data = self._objects.read(key)
        except KeyMissingError:
            raise corrupt(key, expected=summary.digest, found="nothing") from None
        found = hashlib.sha256(data).hexdigest()
        if found != summary.digest:
            raise corrupt(key, expected=summary.digest, found=found)
        return [from_line(line, split) for line in data.splitlines()]

    def delete(self, name: DatasetName) -> list[str]:
        """Delete a snapshot, or, of a bare name, all of a dataset's; return the names of what was deleted. Raises DatasetNotFoundError.

        A snapshot ceases to exist before its rows go; a deletion that broke is finished by the next. If the bare name meant it, it means the other that was imported last from then on.
        """
        there = self.digests(name.dataset)
        chosen = [digest for digest in there if name.digest in ("", digest)]
        if not chosen:
            raise _unknown(name)
        for digest in chosen:
            self._delete(layout.snapshot(name.dataset, digest))
            for split in SPLIT_NAMES:
                self._delete(layout.split_rows(name.dataset, digest, split))
            self._delete_folder(layout.imports(name.dataset, digest))
        left = [
            digest
            for digest in there
            if digest not in chosen and self._objects.exists(layout.snapshot(name.dataset, digest))
        ]
        if not left:
            self._delete_folder(layout.latest(name.dataset))
        elif self._latest(name.dataset) in chosen:
            newest = max(left, key=lambda each: self.import_time(self._read(name.dataset, each)))
            self._point(name.dataset, newest)
        return [str(DatasetName(name.dataset, digest)) for digest in chosen]

    def digests(self, name: str) -> list[str]:
        """Return the digests of a dataset's snapshots, sorted; also of those of which only rows are left, by an import or a deletion that broke."""
        with store_errors("list"):
            return [
                each for each in self._objects.list_folders(layout.dataset(name)) if layout.is_digest(each)
            ]

    def _delete(self, key: str) -> None:
        with store_errors("delete"):
            self._objects.delete(key)

    def _delete_folder(self, folder: str) -> None:
        with store_errors("delete"):
            for key in list(self._objects.list_keys(folder)):
                self._objects.delete(key)

    def names(self) -> list[str]:
        """Return the names of all datasets, sorted."""
        names = filter(layout.is_id, self._objects.list_folders(layout.DATASETS))
        return [name for name in names if last_number(self._objects, layout.latest(name))]

    def _put(self, key: str, data: bytes) -> None:
        # Not `create`: a put of the same bytes mends a damaged object.
        with store_errors("put"), tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rows"
            file.write_bytes(data)
            self._objects.put(key, file)

    def _read(self, name: str, digest: str) -> Snapshot:
        key = layout.snapshot(name, digest)
        snapshot = read_record(self._objects, key, Snapshot)
        found = f"{snapshot.name} of {_digest(snapshot.task, snapshot.splits)}"
        expected = f"{DatasetName(name, digest)} of {digest}"
        if found != expected:
            raise corrupt(key, expected=expected, found=found)
        return snapshot

    def _latest(self, name: str) -> str:
        """Return the digest that the newest record of what the bare name means has; empty if there is none."""
        folder = layout.latest(name)
        last = last_number(self._objects, folder)
        if last == 0:
            return ""
        return read_record(self._objects, layout.numbered(folder, last), _Latest).digest

    def _point(self, name: str, digest: str) -> None:
        try:
            current = self._latest(name)
        except ArtifactCorruptError:
            current = ""  # what is damaged means nothing
        if current != digest:
            self._append(layout.latest(name), _Latest(digest=digest))

    def _append(self, folder: str, record: _Record) -> None:
        while True:
            try:
                key = layout.numbered(folder, last_number(self._objects, folder) + 1)
                create_record(self._objects, key, record)
            except KeyExistsError:
                continue  # another import came in between; this one is the later
            else:
                return


def _digest(task: Task, splits: Mapping[SplitName, SplitSummary]) -> str:
    content = {"task": task, "splits": {split: summary.digest for split, summary in splits.items()}}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _unknown(name: DatasetName) -> DatasetNotFoundError:
    return DatasetNotFoundError(f"there is no dataset {name}", dataset=str(name))
