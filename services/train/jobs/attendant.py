"""Attends one job from its claim to the record of its end: starts or adopts its trainer, listens to it, stops it when it is to stop.

What happens to a job is decided by `ending`; this module does what has to be done. A store or a table that is away is waited for. The
end of a job goes on record only when its trainer's processes are gone. Once the job has changed hands nothing of it is touched any more but
the trainer that was started here, which is ended: its attempt is not the job's any more.

One asyncio task per job owns the trainer and the event log; everything that blocks runs in threads.
"""

import asyncio
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
from services.train.jobs.ending import TrainerEnd, after_trainer, with_log
from services.train.jobs.event_log import EventLog
from services.train.jobs.failing import failure_of
from services.train.jobs.folders import JobFolder, lay_out
from services.train.jobs.going_live import GoingLive, cancelled
from services.train.jobs.logs import tail
from services.train.jobs.publication import Publication
from services.train.jobs.record import JobRecord
from services.train.jobs.table import JobTable, LeaseLostError
from services.train.spec import SCRATCH, STOP, Assignment
from shared.errors import StoreUnavailableError, TagsmithError
from shared.store.failures import store_errors
from shared.telemetry.logs import get_logger

_log = get_logger()

POLL_INTERVAL_S: Final = 0.1
STOP_GRACE_S: Final = 2.0  # a trainer ends within a second of SIGTERM; cancel promises five in all
_LAST_WORD_GRACE_S: Final = 3.0
_RETRY_INTERVAL_S: Final = 2.0
START_PATIENCE_S: Final = 60.0  # with a disk on which no trainer can be started


class _ReleasedError(Exception):
    """The service stops, and another one goes on with what is left of the job."""


class Attendant:
    """The keeper of one job."""

    def __init__(
        self,
        job: JobRecord,
        folder: JobFolder,
        *,
        table: JobTable,
        engine: Engine,
        publication: Publication,
        going_live: GoingLive,
        assign: Callable[[JobRecord], Assignment],
        most_silence_s: float = 3600.0,
    ) -> None:
        """`job` is held by this service; `folder` is its own; `assign` makes its trainer's assignment and blocks. A trainer that says
        nothing for `most_silence_s` hangs, and is ended.
        """
        self._job = job
        self._epoch = job.lease.epoch
        self._folder = folder
        self._table = table
        self._engine = engine
        self._publication = publication
        self._going_live = going_live
        self._assign = assign
        self._most_silence_s = most_silence_s
        self._trainer: Trainer | None = None
        self._spoke = False
        self._last_word: TrainerEvent | None = None
        self._end = asyncio.Event()
        self._service_stops = False
        self._lease_lost = False
        self._opened_s = time.monotonic()
        self._asked_to_stop = 0  # the attempt that was

    @property
    def epoch(self) -> int:
        """Of the lease that the job is attended by."""
        return self._epoch

    @property
    def is_rolling_out(self) -> bool:
        """Only servers are waited for: no trainer takes a place."""
        return self._job.state == "ROLLING_OUT"

    def notice(self, job: JobRecord) -> None:
        """Hear a change of the job, whoever made it."""
        if job.cancel_requested:
            self._end.set()
        if job.revision > self._job.revision:
            self._job = job  # what else somebody wants, the next look at the trainer tells it

    def stop_service(self) -> None:
        """The service ends: stop the trainer and put the job back into the queue, unless it has published."""
        self._service_stops = True
        self._end.set()

    def lose(self) -> None:
        """Somebody else attends the job by now."""
        self._lease_lost = True
        self._end.set()

    async def attend(self) -> None:
        """Return when the job's end, or its return to the queue, is on record; or when the job has changed hands."""
        while True:
            try:
                await self._attend_once()
            except StoreUnavailableError as error:
                _log.warning("job_waits_for_store", job=self._job.id, cause=error.message)
                if await self._gives_up_start(error):
                    return None
                if self._lease_lost:
                    return await self._leave()
                if self._service_stops:
                    return None  # whoever comes next goes on from what is on record
                await asyncio.sleep(_RETRY_INTERVAL_S)
            except LeaseLostError:
                _log.warning("job_changed_hands", job=self._job.id, attempt=self._job.attempt)
                return await self._leave()
            else:
                return None

    async def _gives_up_start(self, error: StoreUnavailableError) -> bool:
        """Put a job back whose trainer cannot be started here for long: another service may be able to, and three tries are enough."""
        is_early = time.monotonic() < self._opened_s + START_PATIENCE_S
        if is_early or self._trainer is not None or self._job.handle is not None:
            return False
        with suppress(StoreUnavailableError, LeaseLostError):
            await self._fail(error)
        return self._job.state == "QUEUED" or self._job.is_final

    async def _attend_once(self) -> None:
        self._job = await asyncio.to_thread(self._table.job, self._job.id)
        if self._job.lease.epoch != self._epoch:
            raise LeaseLostError(self._job.id)
        if self._job.cancel_requested:  # before this attendant could hear of it
            self._end.set()
        try:
            await self._settle(await self._follow_trainer())
        except (StoreUnavailableError, LeaseLostError):
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
        events = EventLog(self._attempt_folder / "events.jsonl")
        patience_s = time.monotonic() + self._most_silence_s  # until when it may go on, or end, by itself
        while True:
            # Before reading: what a trainer said before its end is never missed.
            exit_ = await asyncio.to_thread(self._trainer.poll)
            if heard := await asyncio.to_thread(events.read):
                await self._change(partial(JobRecord.heard, events=heard))
                self._spoke = True
                patience_s = time.monotonic() + self._most_silence_s
                if isinstance(heard[-1], Finished | Failed):
                    self._last_word = heard[-1]
                    patience_s = time.monotonic() + _LAST_WORD_GRACE_S
            if self._lease_lost:
                raise LeaseLostError(self._job.id)
            if exit_ is not None or self._end.is_set() or time.monotonic() > patience_s:
                await self._stop_trainer()
            if exit_ is not None:
                return exit_
            await self._ask_to_stop()
            await self._pause()

    def _open_trainer(self) -> Trainer | None:
        """Find the attempt's trainer or start it; None if the job is to end before it has one. Blocks."""
        job, folder = self._job, self._attempt_folder
        if job.handle is not None:
            return self._engine.adopt(job.handle, folder)
        self._publication.give_up_attempts(job)
        if self._end.is_set() or self._publication.manifest(job) is not None:
            return None
        lay_out(folder, self._folder.kept, self._assign(job))
        record = partial(self._table.change, job.id, epoch=self._epoch)
        with store_errors("start trainer"):
            return self._engine.start(folder, lambda handle: record(lambda job: job.started(handle)))

    async def _ask_to_stop(self) -> None:
        """Have training end early where somebody wants that, or where the job's time is over."""
        now = datetime.now(UTC)
        if not self._job.stop_requested and self._job.is_overdue(now=now):
            await self._change(partial(JobRecord.stopped, now=now))
        if self._job.stop_requested and self._asked_to_stop != self._job.attempt:
            with store_errors("stop training"):
                await asyncio.to_thread((self._attempt_folder / STOP).touch)
            self._asked_to_stop = self._job.attempt

    async def _settle(self, exit_: Exit) -> None:
        """Put the end on record. The alias moves first: a job that reads SUCCEEDED has moved it."""
        manifest = await asyncio.to_thread(self._publication.last_word, self._job)
        self._job = await asyncio.to_thread(self._table.job, self._job.id)
        takes_live = manifest is not None and manifest.state == "published" and self._job.promote_to
        try:
            failure = await self._take_live() if takes_live else None
        except _ReleasedError:
            return
        end = TrainerEnd(
            last_word=self._last_word,
            exit=exit_,
            spoke=self._spoke,
            manifest=manifest,
            service_stops=self._service_stops,
            promotion_failure=failure,
        )
        printed = await asyncio.to_thread(tail, self._folder.log(self._job.attempt))
        await self._change(lambda job: with_log(after_trainer(job, end, now=datetime.now(UTC)), printed))
        await self._tidy()

    async def _take_live(self) -> Failure | None:
        """Move the alias and see it through; return what of that was not done, and why."""
        if self._job.cancel_requested:  # it came too late for the version, and keeps the alias where it is
            return cancelled(self._job)
        try:
            await asyncio.to_thread(self._publication.promote, self._job)
            return await self._go_live() if self._job.inference_target else None
        except (StoreUnavailableError, LeaseLostError, _ReleasedError):
            raise
        except Exception as error:  # noqa: BLE001  # it takes nothing from the version, which is published
            return failure_of(error, job_id=self._job.id)

    async def _go_live(self) -> Failure | None:
        """Wait for the inference servers; return why they did not take the version up."""
        await self._change(JobRecord.rolling_out)
        try:
            return await self._going_live.follow(
                self._job, lambda now: self._change(partial(JobRecord.rolling_out, progress=now)), self._end
            )
        except InterruptedError:
            if self._lease_lost:
                raise LeaseLostError(self._job.id) from None
            if self._service_stops:
                await self._change(JobRecord.released)
                raise _ReleasedError from None
            return cancelled(self._job)

    async def _fail(self, error: Exception) -> None:
        failure = failure_of(error, job_id=self._job.id)
        manifest = await asyncio.to_thread(self._publication.last_word, self._job)
        end = TrainerEnd(
            Failed(failure=failure), UNWATCHED, True, manifest, False, failure
        )  # it spoke; nobody stops
        await self._change(lambda job: after_trainer(job, end, now=datetime.now(UTC)))
        await self._tidy()

    async def _stop_trainer(self) -> None:
        """Return when no process of the trainer lives and its unfinished files are gone."""
        if self._trainer is None:
            return
        while not await asyncio.to_thread(self._trainer.stop, grace_s=STOP_GRACE_S):
            _log.error("trainer_survives_kill", job=self._job.id)
        # A file that cannot be removed must not keep the job from its end.
        await asyncio.to_thread(shutil.rmtree, self._attempt_folder / SCRATCH, ignore_errors=True)

    async def _leave(self) -> None:
        """End the trainer that was started here, unless whoever attends the job now goes on with that very one."""
        job = None
        with suppress(TagsmithError):
            job = await asyncio.to_thread(self._table.job, self._job.id)
        same = job is not None and (job.attempt, job.handle) == (self._job.attempt, self._job.handle)
        if not (same and self._engine.is_shared):
            await self._stop_trainer()

    async def _tidy(self) -> None:
        """What only another attempt would need goes with the job's end."""
        event = "job_ended" if self._job.is_final else "job_waits_again"
        _log.info(event, job=self._job.id, state=self._job.state, reason=self._job.reason)
        if self._job.is_final:
            await asyncio.to_thread(shutil.rmtree, self._folder.kept, ignore_errors=True)

    async def _change(self, change: Callable[[JobRecord], JobRecord]) -> None:
        self._job = await asyncio.to_thread(self._table.change, self._job.id, change, epoch=self._epoch)

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_INTERVAL_S):
                await self._end.wait()

    @property
    def _attempt_folder(self) -> Path:
        return self._folder.attempt(self._job.attempt)
