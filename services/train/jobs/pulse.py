"""The service's pulse: prolongs the leases of what it attends, brings in what other services changed, and counts the jobs.

It beats beside the trainers, in a process that computes nothing, and in a thread of its own, so that neither a trainer that is busy nor calls that wait for
a slow store can cost a job its lease. Whoever watches or attends a job here hears of a change that another service made, such as a cancellation,
within one beat.

Runs in the event loop.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from services.train.jobs.lifecycle import FOLLOWERS
from services.train.jobs.record import JobRecord
from services.train.jobs.supervisor import Supervisor
from services.train.jobs.table import JobTable
from services.train.jobs.watch import Watch
from shared.errors import StoreUnavailableError
from shared.telemetry import metrics
from shared.telemetry.logs import get_logger

_log = get_logger()

BEAT_INTERVAL_S: Final = 1.0
_BEATS_A_COUNT: Final = 5


class Pulse:
    """Beats until it is cancelled."""

    def __init__(
        self, table: JobTable, supervisor: Supervisor, watch: Watch, notice: Callable[[JobRecord], None]
    ) -> None:
        """`notice` hears every job that was read."""
        self._table = table
        self._supervisor = supervisor
        self._watch = watch
        self._notice = notice
        self._thread = ThreadPoolExecutor(1, "pulse")
        self._beats = 0

    async def beat_for_ever(self) -> None:
        """Beat once in BEAT_INTERVAL_S; a database that is away is asked again at the next beat."""
        while True:
            try:
                await self.beat()
            except StoreUnavailableError as error:
                _log.warning("pulse_waits_for_table", cause=error.message)
            await asyncio.sleep(BEAT_INTERVAL_S)

    async def beat(self) -> None:
        """Prolong what is attended, and look at what is watched."""
        epochs = self._supervisor.epochs
        watched = self._watch.watched - epochs.keys()
        counts = self._beats % _BEATS_A_COUNT == 0
        self._beats += 1
        ours, others = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._read, epochs, watched, counts
        )
        for job_id in epochs.keys() - {job.id for job in ours}:
            self._supervisor.lose(job_id, epoch=epochs[job_id])
        for job in (*ours, *others):
            self._notice(job)

    def _read(
        self, epochs: dict[str, int], watched: set[str], counts: bool
    ) -> tuple[list[JobRecord], list[JobRecord]]:
        ours = self._table.renew(epochs) if epochs else []
        others = self._table.jobs(watched) if watched else []
        if counts:
            found = self._table.census.counts()
            for state in FOLLOWERS:
                metrics.JOBS.labels(state).set(found.get(state, 0))
        return ours, others
