"""Several services' eyes on one database."""

from collections.abc import Callable

import sqlalchemy as sa

from services.train.jobs.database import Clock, Database
from services.train.jobs.record import JobRecord
from services.train.jobs.table import JobTable

LEASE_S = 30.0


class World:
    """A database, and the tables through which services see it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._tables: list[JobTable] = []

    def open(
        self,
        owner: str,
        on_change: Callable[[JobRecord], object] = lambda _: None,
        *,
        clock: Clock | None = None,
    ) -> JobTable:
        """Open the table as `owner`."""
        table = JobTable(Database(self._url, clock=clock), on_change, owner=owner, lease_s=LEASE_S)
        self._tables.append(table)
        return table

    def close(self) -> None:
        """Close every table."""
        for table in self._tables:
            table.close()


class VirtualClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_767_322_445.0

    def __call__(self, _: sa.Connection) -> float:
        return self.now_s
