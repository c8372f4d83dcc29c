"""The database behind the job table: one SQLite file for one service, or PostgreSQL for several replicas.

A transaction of SQLite begins IMMEDIATE on the one connection that there is, so that transactions come one after the other, on disk when they
return (WAL, synchronous FULL). Those of PostgreSQL run side by side, and lock the rows that they are about to change.

Any thread may call.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from services.train.jobs.schema import upgrade
from shared.errors import StoreUnavailableError

_CONNECTIONS: Final = 8  # to PostgreSQL: transactions take milliseconds
_LOCK_TIMEOUT_MS: Final = 10_000
_TURN_KEY: Final = 0x7461_6773  # of the advisory lock, "tags": shared by all replicas of one database

Clock = Callable[[sa.Connection], float]


class Database:
    """An open database of the newest schema. Raises StoreUnavailableError wherever it cannot be used."""

    def __init__(self, url: str, *, patience_s: float = 30.0, clock: Clock | None = None) -> None:
        """`url` is `sqlite:///<file>` or `postgresql://...`; a call waits `patience_s` for a connection. `clock` is for tests.

        Brings an older schema up to date.
        """
        self._engine = _engine(url, patience_s)
        self.is_shared = self._engine.dialect.name == "postgresql"  # among several services
        self._clock = clock or (_clock_of_the_server if self.is_shared else _clock_of_this_machine)
        self._turn = threading.Lock()
        with self.transaction() as connection:
            self._take_turn(connection)
            upgrade(connection)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def now_s(self, connection: sa.Connection) -> float:
        """Return the seconds since 1970, by the one clock that all who share this database go by."""
        return self._clock(connection)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Run what is inside as one transaction: on disk when it returns, undone where it raises."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except (DataError, IntegrityError, ProgrammingError):
            raise  # a fault of ours: no other try would mend it
        except (
            DatabaseError,
            PoolTimeoutError,
        ) as error:  # the second: others held it for as long as we would wait
            cause = str(error.orig) if isinstance(error, DatabaseError) else "it is busy"
            raise StoreUnavailableError(
                f"The job table cannot be used: {cause.strip()}.", operation="job table", cause=cause
            ) from error

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep what is inside apart from every other turn, of any thread of any replica."""
        with self._turn:
            if not self.is_shared:
                yield
                return
            with self.transaction() as connection:
                self._take_turn(connection)
                yield

    def _take_turn(self, connection: sa.Connection) -> None:
        if self.is_shared:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN_KEY)))


def sqlite_url(file: Path) -> str:
    """Return the URL of a file."""
    return f"sqlite:///{file}"


def _engine(url: str, patience_s: float) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):  # whose text may hold a password
        raise _unusable("its URL cannot be read") from None
    if parsed.get_backend_name() == "sqlite":
        engine = sa.create_engine(
            parsed, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=patience_s
        )
        sa.event.listen(engine, "connect", _configure_sqlite)
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine
    if parsed.get_backend_name() != "postgresql":
        raise _unusable("its URL is neither sqlite:// nor postgresql://")
    if find_spec("psycopg") is None:
        raise _unusable("PostgreSQL needs the extra `postgres`: pip install '.[train,postgres,cpu]'")
    return sa.create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=patience_s,
        pool_pre_ping=True,  # a server that was restarted costs no caller an error
        connect_args={"connect_timeout": 10, "options": f"-c lock_timeout={_LOCK_TIMEOUT_MS}"},
    )


def _unusable(cause: str) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"The job table cannot be used: {cause}.", operation="job table", cause=cause
    )


def _configure_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # sqlite3 opens no transactions of its own: `begin` above does
    cursor = connection.cursor()
    for setting in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _clock_of_this_machine(_: sa.Connection) -> float:
    return time.time()


def _clock_of_the_server(connection: sa.Connection) -> float:
    """Not `now()`, which stands still in a transaction."""
    return float(connection.execute(sa.select(sa.extract("epoch", sa.func.clock_timestamp()))).scalar_one())
