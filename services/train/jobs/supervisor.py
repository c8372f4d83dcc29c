"""Keeps every job attended: those that this service held at its start, then, a few at a time, those that wait or that another service has lost.

Invariant: each job that this service holds has exactly one attendant. At the start all that it held are taken up again, whatever the limit
on new ones; a job whose trainer has gone meanwhile is closed, or put back into the queue, by the same attendant.

All of it runs in the event loop.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from services.train.jobs.attendant import Attendant
from services.train.jobs.record import JobRecord
from services.train.jobs.table import JobTable
from shared.errors import StoreUnavailableError
from shared.telemetry.logs import get_logger

_log = get_logger()

_RETRY_INTERVAL_S: Final = 2.0
LOOK_INTERVAL_S: Final = 2.0  # at the queue: others may have put a job into it, or have lost one


class Supervisor:
    """Claims jobs and gives each an attendant."""

    def __init__(
        self, table: JobTable, attendant: Callable[[JobRecord], Attendant], *, most_running: int
    ) -> None:
        """At most `most_running` trainers run at a time; `attendant` makes the keeper of a job."""
        self._table = table
        self._make_attendant = attendant
        self._most_running = most_running
        self._attendants: dict[str, Attendant] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._stopping = False

    @property
    def epochs(self) -> dict[str, int]:
        """The epochs of the leases that jobs are attended by."""
        return {job_id: attendant.epoch for job_id, attendant in self._attendants.items()}

    def notice(self, job: JobRecord) -> None:
        """Hear a change of a job."""
        attendant = self._attendants.get(job.id)
        if attendant is not None and attendant.epoch == job.lease.epoch:
            attendant.notice(job)
            if job.state == "ROLLING_OUT":
                self._wake.set()  # its trainer's place is free
        elif job.state == "QUEUED":
            self._wake.set()

    def lose(self, job_id: str, *, epoch: int) -> None:
        """A job that was attended under the lease of `epoch` is somebody else's by now."""
        attendant = self._attendants.get(job_id)
        if attendant is not None and attendant.epoch == epoch:
            attendant.lose()

    async def adopt(self) -> None:
        """Give every job that is this service's, and has none, its attendant: those that it held when it ended, and any that an attendant or the
        answer of a claim was lost of.
        """
        for job in await asyncio.to_thread(self._table.reclaim, but=list(self._attendants)):
            _log.info("job_adopted", job=job.id, state=job.state)
            self._attend(job)

    async def run(self) -> None:
        """Claim jobs as there is room for them, until `stop`; return when all that were attended are on record."""
        while not self._stopping:
            self._wake.clear()
            try:
                await self._claim_all()
            except StoreUnavailableError as error:
                _log.warning("claim_waits_for_table", cause=error.message)
                await asyncio.sleep(_RETRY_INTERVAL_S)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_INTERVAL_S):
                    await self._wake.wait()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def stop(self) -> None:
        """Stop every trainer, put its job back into the queue, and let `run` return."""
        self._stopping = True
        self._wake.set()
        for attendant in self._attendants.values():
            attendant.stop_service()

    @property
    def _busy(self) -> int:
        return sum(not attendant.is_rolling_out for attendant in self._attendants.values())

    async def _claim_all(self) -> None:
        await self.adopt()
        while not self._stopping:
            job = await asyncio.to_thread(self._table.claim, has_place=self._busy < self._most_running)
            if job is None:
                return
            _log.info(
                "job_claimed", job=job.id, model=job.spec.model, version=job.version, attempt=job.attempt
            )
            self._attend(job)

    def _attend(self, job: JobRecord) -> None:
        attendant = self._attendants[job.id] = self._make_attendant(job)
        if self._stopping:  # it was claimed while `stop` was called
            attendant.stop_service()
        task = asyncio.create_task(attendant.attend(), name=f"attend {job.id}")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._leave(job.id, attendant, done))

    def _leave(self, job_id: str, attendant: Attendant, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # A job that went back to the queue may have its next attendant by now.
        if self._attendants.get(job_id) is attendant:
            del self._attendants[job_id]
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("attendant_died", job=job_id, exc_info=error)
