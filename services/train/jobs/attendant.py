"""Sees one job through: from its trainer's start, or its adoption, to the end on record.

Invariant: every step may be repeated. A trainer is found again by its handle, its events are read again from the first, a version
and an alias move are looked for before they are made; so a killed service's successor, and a retry while the store or the disk is
away, go through the same code as an ordinary run. A job ends on record only when its trainer's processes are gone.

One asyncio task per job owns the trainer and the event log; everything that blocks runs in threads.
"""

import asyncio
import math
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from services.train.engines.port import UNWATCHED, Engine, Exit, Trainer
from services.train.events import Failed, Failure, Finished, TrainerEvent
from services.train.jobs.ending import TrainerEnd, after_trainer
from services.train.jobs.event_log import EventLog
from services.train.jobs.publication import Publication
from services.train.jobs.record import JobRecord
from services.train.jobs.table import JobTable
from services.train.spec import SCRATCH, Assignment
from shared.errors import StoreUnavailableError, TagsmithError
from shared.store.failures import store_errors
from shared.telemetry.logs import get_logger

_log = get_logger()

POLL_INTERVAL_S: Final = 0.1
STOP_GRACE_S: Final = 2.0  # a trainer ends within a second of SIGTERM; cancel promises five in all
_LAST_WORD_GRACE_S: Final = 3.0
_RETRY_INTERVAL_S: Final = 2.0


class Attendant:
    """The keeper of one job."""

    def __init__(
        self,
        job: JobRecord,
        folder: Path,
        *,
        table: JobTable,
        engine: Engine,
        publication: Publication,
        assign: Callable[[JobRecord], Assignment],
    ) -> None:
        """`job` is claimed; `folder` is its own; `assign` makes its trainer's assignment and blocks."""
        self._job = job
        self._folder = folder
        self._table = table
        self._engine = engine
        self._publication = publication
        self._assign = assign
        self._trainer: Trainer | None = None
        self._spoke = False
        self._last_word: TrainerEvent | None = None
        self._stop = asyncio.Event()
        self._service_stops = False

    def cancel(self) -> None:
        """The job's record says that it is to end."""
        self._stop.set()

    def stop_service(self) -> None:
        """The service ends: stop the trainer and put the job back into the queue, unless it has published."""
        self._service_stops = True
        self._stop.set()

    async def attend(self) -> None:
        """Return when the job's end, or its return to the queue, is on record."""
        while True:
            try:
                await self._attend_once()
            except StoreUnavailableError as error:
                _log.warning("job_waits_for_store", job=self._job.id, cause=error.message)
                if self._service_stops:
                    return  # its state is on record; the next service goes on from there
                await asyncio.sleep(_RETRY_INTERVAL_S)
            else:
                return

    async def _attend_once(self) -> None:
        self._job = await asyncio.to_thread(self._table.job, self._job.id)
        if self._job.cancel_requested:  # before this attendant could hear of it
            self._stop.set()
        try:
            await self._settle(await self._follow_trainer())
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001  # a job must end: whatever happened is on record, and in the log
            await self._stop_trainer()
            await self._fail(error)

    async def _follow_trainer(self) -> Exit:
        """Record what the trainer says until it and all that it started are gone. Returns how it ended."""
        self._spoke, self._last_word = False, None
        if self._trainer is None:
            self._trainer = await asyncio.to_thread(self._open_trainer)
        if self._trainer is None:
            return UNWATCHED
        events = EventLog(self._folder / "events.jsonl")
        patience_s = math.inf  # on the monotonic clock: until when the trainer may end by itself
        while True:
            # Before reading: what a trainer said before its end is never missed.
            exit_ = await asyncio.to_thread(self._trainer.poll)
            if heard := await asyncio.to_thread(events.read):
                await self._change(partial(JobRecord.heard, events=heard))
                self._spoke = True
                if isinstance(heard[-1], Finished | Failed):
                    self._last_word = heard[-1]
                    patience_s = time.monotonic() + _LAST_WORD_GRACE_S
            if exit_ is not None or self._stop.is_set() or time.monotonic() > patience_s:
                await self._stop_trainer()
            if exit_ is not None:
                return exit_
            await self._pause()

    def _open_trainer(self) -> Trainer | None:
        """Find the job's trainer or start it; None if the job is to end before it has one. Blocks."""
        if self._job.handle is not None:
            return self._engine.adopt(self._job.handle, self._folder)
        if self._stop.is_set():
            return None
        assignment = self._assign(self._job)
        with store_errors("start trainer"):
            self._folder.mkdir(parents=True, exist_ok=True)
            clear(self._folder)
            (self._folder / "spec.json").write_text(assignment.model_dump_json(indent=1), "utf-8")
            return self._engine.start(
                self._folder, lambda handle: self._table.change(self._job.id, lambda job: job.started(handle))
            )

    async def _settle(self, exit_: Exit) -> None:
        """Put the end on record. The alias moves first: a job that reads SUCCEEDED has moved it."""
        manifest = await asyncio.to_thread(self._publication.manifest, self._job)
        self._job = await asyncio.to_thread(self._table.job, self._job.id)
        promotes = manifest is not None and manifest.state == "published" and self._job.promote_to
        kept = not promotes or self._job.cancel_requested  # a cancel that came too late still keeps the alias
        end = TrainerEnd(
            last_word=self._last_word,
            exit=exit_,
            spoke=self._spoke,
            manifest=manifest,
            service_stops=self._service_stops,
            promotion_failure=None if kept else await self._promote(),
        )
        await self._change(lambda job: after_trainer(job, end, now=datetime.now(UTC)))
        _log.info("job_ended", job=self._job.id, state=self._job.state, reason=_reason(self._job))

    async def _promote(self) -> Failure | None:
        """Move the alias; return why it could not be moved, which takes nothing from the version that was published."""
        try:
            await asyncio.to_thread(self._publication.promote, self._job)
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever happened is on record, and in the log
            return self._failure_of(error)
        return None

    async def _fail(self, error: Exception) -> None:
        failure = self._failure_of(error)
        await self._change(lambda job: job.ended("FAILED", now=datetime.now(UTC), failure=failure))
        _log.info("job_ended", job=self._job.id, state="FAILED", reason=failure.reason)

    def _failure_of(self, error: Exception) -> Failure:
        if isinstance(error, TagsmithError):
            return Failure.of(error)
        incident = secrets.token_hex(4)
        _log.error("job_defect", job=self._job.id, incident=incident, exc_info=error)
        message = f"internal error, incident {incident}"
        return Failure(reason="INTERNAL", message=message, metadata={"incident": incident})

    async def _stop_trainer(self) -> None:
        """Return when no process of the trainer lives and its unfinished files are gone."""
        if self._trainer is None:
            return
        while not await asyncio.to_thread(self._trainer.stop, grace_s=STOP_GRACE_S):
            _log.error("trainer_survives_kill", job=self._job.id)
        # A file that cannot be removed must not keep the job from its end.
        await asyncio.to_thread(shutil.rmtree, self._folder / SCRATCH, ignore_errors=True)

    async def _change(self, change: Callable[[JobRecord], JobRecord]) -> None:
        self._job = await asyncio.to_thread(self._table.change, self._job.id, change)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_INTERVAL_S):
                await self._stop.wait()


def clear(folder: Path) -> None:
    """Remove what an earlier try left that was stopped with its service, but for what it kept for the next."""
    for left in folder.iterdir():
        if not left.is_dir():
            left.unlink()
        elif left.name != "kept":
            shutil.rmtree(left)


def _reason(job: JobRecord) -> str:
    return "" if job.failure is None else job.failure.reason
