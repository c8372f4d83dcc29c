"""Statements on the table of jobs, as both databases understand them."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from services.train.jobs.record import JobRecord
from services.train.jobs.rows import to_record
from services.train.jobs.schema import JOBS
from shared.errors import JobNotFoundError


def insert(connection: sa.Connection) -> Callable[[sa.Table], Any]:
    """Each dialect has its own class for what both can do: insert unless it is there."""
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def unlocked(query: sa.Select[Any]) -> sa.Select[Any]:
    """The first of the rows that no other transaction holds."""
    return query.limit(1).with_for_update(skip_locked=True)


def first(connection: sa.Connection, query: sa.Select[Any]) -> JobRecord | None:
    """Return the first job of a query."""
    row = connection.execute(query).first()
    return None if row is None else to_record(row)


def existing(connection: sa.Connection, job_id: str, *, locked: bool = False) -> JobRecord:
    """Return a job, for this transaction alone if it is `locked`. Raises JobNotFoundError."""
    query = JOBS.select().where(JOBS.c.id == job_id)
    job = first(connection, query.with_for_update() if locked else query)
    if job is None:
        raise JobNotFoundError(f"There is no job {job_id}.", job=job_id)
    return job
