"""Dataset imports: an upload, or what the server may read itself, checked as a whole and stored as one snapshot.

Invariant: nothing is stored unless every row of every file is good. The upload goes to nameless temporary files first, so memory
does not grow with it before it is read, and nothing of it outlives the call or the process.

One Datasets serves any number of calls; each import is one coroutine, and its blocking work runs in threads.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from services.train.pages import PageRequest, page_of
from services.train.sources import Sources
from shared.data.cleaning.steps import STEPS, Cleaning, StepReport
from shared.data.inspection.findings import Finding, placed
from shared.data.inspection.report import inspect
from shared.data.readers import NO_EXTRAS, USUAL_NAMES, Extras, FieldNames, read_rows
from shared.data.rows import Row, SplitName
from shared.data.splits import assign_splits, check_dataset
from shared.errors import (
    ArtifactCorruptError,
    DatasetInvalidError,
    DatasetNotFoundError,
    FieldInvalidError,
    Problem,
    TagsmithError,
)
from shared.names import DatasetName, check_id
from shared.store.datasets import DatasetStore, Snapshot
from shared.store.failures import store_errors
from shared.store.manifest import Task

MOST_CHUNK_BYTES: Final = 1024 * 1024
_MOST_FILES: Final = 100
_MOST_NAME_CHARACTERS: Final = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHeader:
    """Opens a file of an import; see ImportFileHeader of the proto."""

    dataset: str
    file_name: str
    split: SplitName | None
    server_path: str
    task: Task | None  # None: not said, which is refused
    names: FieldNames = USUAL_NAMES
    extras: Extras = NO_EXTRAS
    cleaning: frozenset[str] = frozenset()  # names of steps; the same in every header


@dataclass(frozen=True, slots=True)
class _SpooledFile:
    header: FileHeader
    data: BinaryIO


@dataclass(frozen=True, slots=True)
class Imported:
    """A snapshot, what is doubtful about its rows, and what each cleaning step did to them before."""

    snapshot: Snapshot
    findings: Sequence[Finding]
    reports: Sequence[StepReport]


@dataclass(frozen=True, slots=True)
class UnreadableDataset:
    """What a list shows in the place of a snapshot whose records are damaged."""

    name: str
    damage: TagsmithError


class Datasets:
    """The dataset store as callers see it."""

    def __init__(
        self, datasets: DatasetStore, *, spool: Path, sources: Sources, most_bytes: int, turn: asyncio.Lock
    ) -> None:
        """`spool` is the folder of temporary files; what a server path may name is for `sources` to say; a call has `most_bytes`.

        `turn` is held while the store's rows are changed: rows in memory are several times as large as their file.
        """
        self._datasets = datasets
        self._spool = spool
        self._sources = sources
        self._most_bytes = most_bytes
        self._turn = turn

    async def import_parts(self, parts: AsyncIterator[FileHeader | bytes]) -> Imported:
        """Read a whole upload, check it, store it, look at it. Raises DatasetInvalidError with all problems, FieldInvalidError, PathNotAllowedError."""
        with ExitStack() as files:
            spooled = await self._receive(parts, files)
            async with self._turn:
                return await asyncio.to_thread(self._store, spooled)

    def page(self, page: PageRequest) -> tuple[list[Snapshot | UnreadableDataset], str]:
        """Return a page of the newest snapshots of all datasets, by name, and the next page's token. Blocks."""
        names, token = page_of(self._datasets.names(), page, key=str, default=100)
        return [self._newest(name) for name in names], token

    def _newest(self, name: str) -> Snapshot | UnreadableDataset:
        try:
            return self._datasets.snapshot(DatasetName(name))
        except (ArtifactCorruptError, DatasetNotFoundError) as error:
            return UnreadableDataset(name, error)

    async def _receive(
        self, parts: AsyncIterator[FileHeader | bytes], files: ExitStack
    ) -> list[_SpooledFile]:
        spooled: list[_SpooledFile] = []
        received_bytes = 0
        async for part in parts:
            if isinstance(part, FileHeader):
                _check_header(part, spooled)
                data, size_bytes = await asyncio.to_thread(
                    self._open, part, self._most_bytes - received_bytes
                )
                spooled.append(_SpooledFile(part, files.enter_context(data)))
                received_bytes += size_bytes
            else:
                _check_chunk(part, spooled)
                await asyncio.to_thread(_write, spooled[-1].data, part)
                received_bytes += len(part)
            if received_bytes > self._most_bytes:
                raise FieldInvalidError(
                    f"The import has more than {self._most_bytes} bytes, the limit of this server.",
                    field="chunk",
                    limit_bytes=self._most_bytes,
                )
        if not spooled:
            raise FieldInvalidError("The import has no file: send a header first.", field="header")
        return spooled

    def _open(self, header: FileHeader, most_bytes: int) -> tuple[BinaryIO, int]:
        """Return where the file's bytes are, or will be, and how many there are already; over `most_bytes`, none need be."""
        if header.server_path and "://" not in header.server_path:
            file = self._sources.open_file(header.server_path)
            return file, os.fstat(file.fileno()).st_size
        with ExitStack() as undo:
            with store_errors("spool"):
                self._spool.mkdir(parents=True, exist_ok=True)
                spooled = undo.enter_context(tempfile.TemporaryFile(dir=self._spool))
            size_bytes = 0
            if header.server_path:
                size_bytes = self._sources.copy_object(header.server_path, spooled, most_bytes=most_bytes)
            undo.pop_all()
        return spooled, size_bytes

    def _store(self, files: Sequence[_SpooledFile]) -> Imported:
        first = files[0].header
        task = first.task
        assert task is not None  # noqa: S101  # for the type checker: _check_header saw to it
        rows: list[Row] = []
        problems: list[Problem] = []
        cleaning = Cleaning(first.cleaning)
        for file in files:
            file.data.seek(0)
            header = file.header
            found, faults = read_rows(
                header.file_name, file.data, task, header.names, header.extras, cleaning.mend
            )
            rows += found if header.split is None else _in_split(found, header.split)
            problems += faults
        marks = {file.header.extras.out_of_scope_label for file in files} - {""}
        if marks and not problems and not any(row.out_of_scope for row in rows):
            problems.append(Problem(first.file_name, f"no row has the out-of-scope label {min(marks)!r}"))
        splits = cleaning.sift(assign_splits(rows))
        problems = problems or check_dataset(splits, task)  # of an incomplete set they would mislead
        if problems:
            raise DatasetInvalidError(
                f"Dataset {first.dataset} cannot be used; nothing was stored.",
                problems,
                **_place(problems[0].field),
            )
        snapshot = self._datasets.save(first.dataset, task, splits, cleaning.steps)
        return Imported(snapshot, inspect(placed(splits)), cleaning.reports())


def _check_header(header: FileHeader, before: Sequence[_SpooledFile]) -> None:
    check_id(header.dataset, field="header.dataset")
    if header.task is None:
        raise FieldInvalidError("header.task is not set.", field="header.task")
    if used := sorted({*header.extras.columns} & {*header.names.needed(header.task), header.names.split}):
        raise FieldInvalidError(
            f"header.columns: {used[0]} is what the rows are read from; a column is something else that is known of them.",
            field="header.columns",
        )
    if header.extras.out_of_scope_label and header.task != "classification":
        raise FieldInvalidError(
            f"header.out_of_scope_label is for classification, not for {header.task}: a row without any label, or entity, says the same.",
            field="header.out_of_scope_label",
        )
    if (
        not header.file_name
        or len(header.file_name) > _MOST_NAME_CHARACTERS
        or not header.file_name.isprintable()
    ):
        raise FieldInvalidError(
            f"header.file_name is not 1 to {_MOST_NAME_CHARACTERS} printable characters.",
            field="header.file_name",
        )
    if unknown := sorted(header.cleaning - set(STEPS)):
        raise FieldInvalidError(
            f"header.cleaning names a step that this server does not know; it knows {', '.join(STEPS)}.",
            field="header.cleaning",
            value=ascii(unknown[0][:_MOST_NAME_CHARACTERS]),
        )
    if len(before) == _MOST_FILES:
        raise FieldInvalidError(f"The import has more than {_MOST_FILES} files.", field="header")
    if before and _of_all_files(header) != _of_all_files(before[0].header):
        raise FieldInvalidError(
            "The headers of one import name different datasets, tasks or cleaning steps.",
            field="header",
            file=header.file_name,
        )


def _of_all_files(header: FileHeader) -> tuple[object, ...]:
    return (header.dataset, header.task, header.cleaning)


def _check_chunk(chunk: bytes, before: Sequence[_SpooledFile]) -> None:
    if not before:
        raise FieldInvalidError("A chunk came before the first header.", field="chunk")
    if before[-1].header.server_path:
        raise FieldInvalidError("A chunk came for a file that is read from server_path.", field="chunk")
    if len(chunk) > MOST_CHUNK_BYTES:
        raise FieldInvalidError(
            f"A chunk has {len(chunk)} bytes; at most {MOST_CHUNK_BYTES} are allowed.",
            field="chunk",
            size_bytes=len(chunk),
            limit_bytes=MOST_CHUNK_BYTES,
        )


def _write(file: BinaryIO, chunk: bytes) -> None:
    view = memoryview(chunk)
    with store_errors("spool"):
        while view:
            view = view[
                os.write(file.fileno(), view) :
            ]  # not through the buffer, which fails again when it is closed


def _in_split(rows: Iterable[Row], split: SplitName) -> Iterable[Row]:
    return (replace(row, split=split) for row in rows)


def _place(field: str) -> dict[str, str]:
    """Return the file, and the line if there is one, of a problem's field such as `train.csv:17`."""
    file, _, line = field.rpartition(":")
    return {"file": file, "line": line} if file and line.isdecimal() else {"file": field}
