"""Reads what trainers print, as whole lines, from the folders of attempts. Blocks, but for `follow`, which runs in the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.train.jobs.folders import JobFolder
from services.train.jobs.record import JobRecord
from services.train.jobs.table import JobTable
from shared.errors import FieldInvalidError, ServerDrainingError, StoreUnavailableError

TAIL_LINES: Final = 50
_PART_BYTES: Final = 64 * 1024
_TAIL_BYTES: Final = 64 * 1024
_INTERVAL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class LogPart:
    """A part of a log."""

    attempt: int
    text: str


class Logs:
    """The logs of all jobs whose folders lie here."""

    def __init__(self, table: JobTable, folder: Callable[[str], JobFolder], *, owner: str) -> None:
        """`folder` is that of a job, by its id; `owner` is this service's name."""
        self._table = table
        self._owner = owner
        self._folder = folder
        self._closed = False

    def close(self) -> None:
        """End what is being followed with ServerDrainingError: its reader goes on elsewhere, or later."""
        self._closed = True

    async def read(self, job_id: str, *, attempt: int, follow: bool) -> AsyncIterator[LogPart]:
        """Yield an attempt's log, 0: the newest one's; with `follow` what is yet to come as well, of later attempts too where none was asked for.

        Raises JobNotFoundError, FieldInvalidError for an attempt that there was not, StoreUnavailableError for one whose folder is not here.
        """
        job = await asyncio.to_thread(self._table.job, job_id)
        if not 0 <= attempt <= job.attempt:
            raise FieldInvalidError(
                f"{job_id} has had {job.attempt} attempts: attempt {attempt} is none of them.",
                field="attempt",
                value=attempt,
            )
        reader = _Reader(self._folder(job_id), attempt or job.attempt)
        while True:
            # The record before the log: what was printed before the end is never missed.
            job = await asyncio.to_thread(self._table.job, job_id)
            over = job.is_final or job.attempt > reader.attempt
            while (part := await asyncio.to_thread(reader.next, over=over)) is not None:
                yield part
            begun = over or job.handle is not None
            if (
                begun
                and reader.is_missing
                and await asyncio.to_thread(self._is_elsewhere, job, reader.attempt)
            ):
                raise _elsewhere(job, reader.attempt)
            if over and job.attempt > reader.attempt and not attempt:
                reader = _Reader(self._folder(job_id), reader.attempt + 1)
                continue
            if over or not follow:
                return
            if self._closed:
                raise ServerDrainingError(
                    "The training service is stopping; read on at another one, or later."
                )
            await asyncio.sleep(_INTERVAL_S)

    def _is_elsewhere(self, job: JobRecord, attempt: int) -> bool:
        """Whether another service ran an attempt: where this one did and has no log, no trainer was started."""
        began = {
            each.attempt: each.detail for each in self._table.events(job.id) if each.kind == "ATTEMPT_STARTED"
        }
        return began.get(attempt, self._owner) != self._owner


def tail(log: Path) -> tuple[str, ...]:
    """Return the last lines of a log, none where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return tuple(file.read().decode("utf-8", "replace").splitlines()[-TAIL_LINES:])
    except OSError:
        return ()


class _Reader:
    """Where in an attempt's log a reader is."""

    def __init__(self, folder: JobFolder, attempt: int) -> None:
        self.attempt = attempt
        self._log = folder.log(attempt)
        self._offset_bytes = 0

    @property
    def is_missing(self) -> bool:
        return not self._log.exists()

    def next(self, *, over: bool) -> LogPart | None:
        """Return the next whole lines, or where nothing more comes what is there."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._offset_bytes)
                data = file.read(_PART_BYTES)
        except FileNotFoundError:
            return None
        if (not over and len(data) < _PART_BYTES) or (b"\n" in data and len(data) == _PART_BYTES):
            data = data[: data.rfind(b"\n") + 1]
        if not data:
            return None
        self._offset_bytes += len(data)
        return LogPart(self.attempt, data.decode("utf-8", "replace"))


def _elsewhere(job: JobRecord, attempt: int) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"The log of attempt {attempt} at {job.id} is not in this service's folder of jobs: ask the service that ran it, or have them share"
        " TAGSMITH_TRAIN_JOBS_DIR.",
        operation="read log",
        cause="another folder",
    )
