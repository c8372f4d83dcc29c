"""Jobs that go: once they have ended for longer than their owner wants, with their histories and their folders. Their versions stay."""

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
        """Forget jobs once they have ended for `retention_days`; None: never. Until it is cancelled."""
        while retention_days is not None:
            try:
                await asyncio.to_thread(self.forget, datetime.now(UTC) - timedelta(days=retention_days))
            except StoreUnavailableError as error:
                _log.warning("jobs_not_forgotten", cause=error.message)
            await asyncio.sleep(interval_s)

    def forget(self, ended_before: datetime) -> list[str]:
        """Forget the jobs that ended before a time; return their ids. Blocks."""
        forgotten = self._table.forget(ended_before=ended_before)
        for job_id in forgotten:
            _log.info("job_forgotten", job=job_id)
            shutil.rmtree(self._folder(job_id).path, ignore_errors=True)
        return forgotten
