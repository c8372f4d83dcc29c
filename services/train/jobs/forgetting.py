"""What goes with jobs that have ended: what only another attempt would need at once, and job, history and logs once their owner wants. Versions stay."""

import asyncio
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from services.train.jobs.folders import JobFolder
from services.train.jobs.table import JobTable
from shared.errors import StoreUnavailableError
from shared.telemetry.logs import get_logger

_log = get_logger()

INTERVAL_S: Final = 3600.0


class Forgetting:
    """Forgets ended jobs."""

    def __init__(self, table: JobTable, folder: Callable[[str], JobFolder]) -> None:
        """`folder` is that of a job, by its id."""
        self._table = table
        self._folder = folder

    async def forget_for_ever(self, retention_days: float | None, *, interval_s: float = INTERVAL_S) -> None:
        """Sweep at the start and every `interval_s`, and forget jobs once they have ended for `retention_days`; None: never. Until it is cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.sweep)
                if retention_days is not None:
                    await asyncio.to_thread(self.forget, datetime.now(UTC) - timedelta(days=retention_days))
            except (StoreUnavailableError, OSError) as error:
                _log.warning("jobs_not_forgotten", cause=str(error))
            await asyncio.sleep(interval_s)

    def sweep(self) -> None:
        """Remove what ended jobs have kept for attempts that will not come: jobs that ended in the queue, or whose service died as they did. Blocks."""
        for job_id in self._table.ended():
            shutil.rmtree(self._folder(job_id).kept, ignore_errors=True)

    def forget(self, ended_before: datetime) -> list[str]:
        """Forget the jobs that ended before a time; return their ids. Blocks."""
        old = self._table.ended(before=ended_before)
        for job_id in old:  # the folders first: what is not in the table nobody looks for
            shutil.rmtree(self._folder(job_id).path, ignore_errors=True)
        self._table.forget(old)
        for job_id in old:
            _log.info("job_forgotten", job=job_id)
        return old
