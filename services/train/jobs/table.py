"""The table of jobs: one SQLite file, the only record of what was asked and what became of it.

Invariant: what a method returned is on disk (WAL, synchronous FULL) and survives everything but the disk. Every change is a
function from record to record, applied inside a transaction.

Any thread may call. There is one connection, and the pool that holds it is the lock: transactions come one after the other. The
listener hears every committed change, in the thread that made it; two changes of one job may reach it out of order, and their
`revision` tells which is the later one.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from services.train.events import Failure, Progress
from services.train.jobs.lifecycle import FINAL, FOLLOWERS
from services.train.jobs.record import JobRecord
from services.train.pages import PageRequest
from services.train.spec import JobSpec
from shared.errors import JobNotFoundError, StoreUnavailableError

SCHEMA_VERSION: Final = 5  # of the columns and of the JSON in them; 4: a spec may have no base; 5: it has gates, which a reason may override
_MOST_NAMED: Final = 10

_METADATA = sa.MetaData()
_JOBS = sa.Table(
    "jobs",
    _METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("id", sa.String, nullable=False, unique=True),
    sa.Column("request_id", sa.String, unique=True),  # NULL where the caller gave none
    sa.Column("order_digest", sa.String, nullable=False),
    sa.Column("model", sa.String, nullable=False, index=True),
    sa.Column("spec", sa.String, nullable=False),  # JSON, like all below that are not plain
    sa.Column("promote_to", sa.String, nullable=False),
    sa.Column("override_reason", sa.String, nullable=False),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False, index=True),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("progress", sa.String),
    sa.Column("metrics", sa.String, nullable=False),
    sa.Column("failure", sa.String),
    sa.Column("handle", sa.String),
    sa.Column("create_time", sa.String, nullable=False),  # ISO 8601, UTC
    sa.Column("start_time", sa.String),
    sa.Column("end_time", sa.String),
    sa.Column("revision", sa.Integer, nullable=False),
    sqlite_autoincrement=True,  # a sequence number is never used twice
)


class JobTable:
    """All jobs. Raises StoreUnavailableError where the file cannot be read or written."""

    def __init__(
        self, file: Path, on_change: Callable[[JobRecord], object], *, patience_s: float = 30.0
    ) -> None:
        """Open or make the table. `on_change` hears every change, in any thread; a call waits `patience_s` for its turn.

        Raises StoreUnavailableError for a table of another schema and for one with a job that cannot be read. Going on without
        that job would leave a trainer that nobody watches, and a caller who waits for ever.
        """
        self._on_change = on_change
        self._engine = sa.create_engine(
            f"sqlite:///{file}", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=patience_s
        )
        sa.event.listen(self._engine, "connect", _configure)
        sa.event.listen(
            self._engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE")
        )
        with self._transaction() as connection:
            _prepare_schema(connection, file)
            _check_readable(connection, file)

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()

    def add(self, job: JobRecord) -> JobRecord:
        """Store a new job and return it; if its request_id is there already, the job that has it."""
        with self._transaction() as connection:
            if job.request_id and (found := _first(connection, _JOBS.c.request_id == job.request_id)):
                return found
            result = connection.execute(_JOBS.insert().values(_to_row(job)))
            job = replace(job, sequence=result.lastrowid)
        self._on_change(job)
        return job

    def find_request(self, request_id: str) -> JobRecord | None:
        """Return the job of a request_id."""
        with self._transaction() as connection:
            return _first(connection, _JOBS.c.request_id == request_id)

    def job(self, job_id: str) -> JobRecord:
        """Return a job. Raises JobNotFoundError."""
        with self._transaction() as connection:
            return _existing(connection, job_id)

    def change(self, job_id: str, change: Callable[[JobRecord], JobRecord]) -> JobRecord:
        """Put `change(job)` in a job's place and return it. Raises JobNotFoundError, and what `change` raises."""
        with self._transaction() as connection:
            before = _existing(connection, job_id)
            after = _write(connection, before, change(before))
        if after is not before:
            self._on_change(after)
        return after

    def claim(self, *, now: datetime) -> JobRecord | None:
        """Take the oldest job that waits, None if none does."""
        with self._transaction() as connection:
            waiting = _first(connection, _JOBS.c.state == "QUEUED")
            if waiting is None:
                return None
            claimed = _write(connection, waiting, waiting.claimed(now=now))
        self._on_change(claimed)
        return claimed

    def unfinished(self, model: str = "") -> list[JobRecord]:
        """Return every job of a model (empty: of all) that has not ended, oldest first."""
        query = _JOBS.select().where(_JOBS.c.state.not_in(FINAL)).order_by(_JOBS.c.sequence)
        if model:
            query = query.where(_JOBS.c.model == model)
        with self._transaction() as connection:
            return [_to_record(row) for row in connection.execute(query)]

    def page(self, model: str, page: PageRequest) -> tuple[list[JobRecord], str]:
        """Return a page of the jobs of a model (empty: of all), newest first, and the next page's token."""
        limit = page.limit(default=50)
        query = _JOBS.select().order_by(_JOBS.c.sequence.desc()).limit(limit + 1)
        if model:
            query = query.where(_JOBS.c.model == model)
        if (after := page.after(int)) is not None:
            query = query.where(_JOBS.c.sequence < after)
        with self._transaction() as connection:
            jobs = [_to_record(row) for row in connection.execute(query)]
        more = len(jobs) > limit
        return jobs[:limit], page.token_after(jobs[limit - 1].sequence) if more else ""

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except (
            DatabaseError,
            PoolTimeoutError,
        ) as error:  # the second: others held it for as long as we would wait
            cause = str(error.orig) if isinstance(error, DatabaseError) else "it is busy"
            raise StoreUnavailableError(
                f"The job table cannot be used: {cause}.", operation="job table", cause=cause
            ) from error


def _configure(connection: Any, _: object) -> None:
    connection.isolation_level = None  # sqlite3 opens no transactions of its own: `begin` above does
    cursor = connection.cursor()
    for setting in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _prepare_schema(connection: sa.Connection, file: Path) -> None:
    found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if found == 0 and not sa.inspect(connection).get_table_names():  # a new file
        _METADATA.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
    elif found != SCHEMA_VERSION:
        remedy = (
            "Run a newer release."
            if found > SCHEMA_VERSION
            else "Let the release that wrote it finish its jobs, then move the file away; versions and datasets are in the store."
        )
        raise StoreUnavailableError(
            f"The job table {file} has schema {found}; this release reads {SCHEMA_VERSION} only. {remedy}",
            operation="job table",
            cause=f"schema {found}",
        )


def _check_readable(connection: sa.Connection, file: Path) -> None:
    damaged = [row.id for row in connection.execute(_JOBS.select()) if not _is_readable(row)]
    if damaged:
        named = ", ".join(damaged[:_MOST_NAMED]) + (", ..." if len(damaged) > _MOST_NAMED else "")
        raise StoreUnavailableError(
            f"The job table {file} has {len(damaged)} jobs that cannot be read: {named}. Nothing was changed. Bring the file"
            " back from a backup, or end their trainers and delete these rows; their versions stay in the store.",
            operation="job table",
            cause="unreadable jobs",
        )


def _is_readable(row: sa.Row[Any]) -> bool:
    try:
        return _to_record(row).state in FOLLOWERS
    except (ValueError, TypeError):  # pydantic's and JSON's errors are ValueErrors
        return False


def _first(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> JobRecord | None:
    row = connection.execute(_JOBS.select().where(condition).order_by(_JOBS.c.sequence).limit(1)).first()
    return None if row is None else _to_record(row)


def _existing(connection: sa.Connection, job_id: str) -> JobRecord:
    job = _first(connection, _JOBS.c.id == job_id)
    if job is None:
        raise JobNotFoundError(f"There is no job {job_id}.", job=job_id)
    return job


def _write(connection: sa.Connection, before: JobRecord, after: JobRecord) -> JobRecord:
    if after == before:
        return before
    after = replace(after, revision=before.revision + 1)
    connection.execute(_JOBS.update().where(_JOBS.c.sequence == before.sequence).values(_to_row(after)))
    return after


def _to_row(job: JobRecord) -> dict[str, object]:
    return {
        "id": job.id,
        "request_id": job.request_id or None,
        "order_digest": job.order_digest,
        "model": job.spec.model,
        "spec": job.spec.model_dump_json(),
        "promote_to": job.promote_to,
        "override_reason": job.override_reason,
        "version": job.version,
        "state": job.state,
        "cancel_requested": job.cancel_requested,
        "progress": job.progress and job.progress.model_dump_json(),
        "metrics": json.dumps(dict(job.metrics)),
        "failure": job.failure and job.failure.model_dump_json(),
        "handle": job.handle and json.dumps(dict(job.handle)),
        "create_time": job.create_time.isoformat(),
        "start_time": job.start_time and job.start_time.isoformat(),
        "end_time": job.end_time and job.end_time.isoformat(),
        "revision": job.revision,
    }


def _to_record(row: sa.Row[Any]) -> JobRecord:
    return JobRecord(
        id=row.id,
        request_id=row.request_id or "",
        order_digest=row.order_digest,
        spec=JobSpec.model_validate_json(row.spec),
        promote_to=row.promote_to,
        override_reason=row.override_reason,
        version=row.version,
        state=row.state,
        cancel_requested=row.cancel_requested,
        progress=row.progress and Progress.model_validate_json(row.progress),
        metrics=json.loads(row.metrics),
        failure=row.failure and Failure.model_validate_json(row.failure),
        handle=row.handle and json.loads(row.handle),
        create_time=datetime.fromisoformat(row.create_time),
        start_time=row.start_time and datetime.fromisoformat(row.start_time),
        end_time=row.end_time and datetime.fromisoformat(row.end_time),
        sequence=row.sequence,
        revision=row.revision,
    )
