"""The service's pulse: prolongs the leases of what it attends, and brings in what other services changed.

It beats beside the trainers, in a process that computes nothing, so that a trainer that is busy cannot cost its job the lease. Whoever
watches or attends a job here hears of a change that another service made, such as a cancellation, within one beat.

Runs in the event loop.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from services.train.jobs.record import JobRecord
from services.train.jobs.supervisor import Supervisor
from services.train.jobs.table import JobTable
from services.train.jobs.watch import Watch
from shared.errors import StoreUnavailableError
from shared.telemetry.logs import get_logger

_log = get_logger()

BEAT_INTERVAL_S: Final = 1.0


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
        ours = await asyncio.to_thread(self._table.renew, epochs) if epochs else []
        watched = self._watch.watched - epochs.keys()
        others = await asyncio.to_thread(self._table.jobs, watched) if watched else []
        for job_id in epochs.keys() - {job.id for job in ours}:
            self._supervisor.lose(job_id, epoch=epochs[job_id])
        for job in (*ours, *others):
            self._notice(job)
