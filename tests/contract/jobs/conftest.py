"""One suite over both databases: SQLite files always, a real PostgreSQL server in `make test-postgres`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.train.jobs.database import Clock, sqlite_url
from services.train.jobs.record import JobRecord
from services.train.jobs.table import JobTable
from tests.contract.jobs.worlds import World
from tests.postgres import Server

Changes = list[JobRecord]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "jobs.sqlite")
    server: Server = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def changes() -> Changes:
    """What the listener heard."""
    return []


@pytest.fixture
def open_table(url: str, changes: Changes) -> Iterator[Callable[..., JobTable]]:
    """Open the one database, as often as asked, as whoever is asked for; the first one's listener fills `changes`."""
    world = World(url)

    def open_(*, owner: str = "here", clock: Clock | None = None) -> JobTable:
        return world.open(owner, changes.append, clock=clock)

    yield open_
    world.close()


@pytest.fixture
def table(open_table: Callable[..., JobTable]) -> JobTable:
    """An empty table."""
    return open_table()
