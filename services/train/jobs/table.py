"""The table of jobs: the only record of what was asked and what became of it.

Invariant: what a method returned is on disk and survives everything but the disk. Every change is a function from record to record,
applied inside a transaction, and what happened is written into the job's history by the same transaction. A service changes a job that it
attends by the lease that it was given: once the job has changed hands, LeaseLostError keeps what it says out of the record.

Any thread may call. The listener hears every change that was committed here, in the thread that made it; two changes of one job may reach it out
of order, and their `revision` tells which is the later one.
"""

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from services.train.jobs.census import Census
from services.train.jobs.database import Database
from services.train.jobs.history import JobEvent, happened
from services.train.jobs.lifecycle import FINAL, RUNNING
from services.train.jobs.queries import existing, first, insert, unlocked
from services.train.jobs.readable import check_readable
from services.train.jobs.record import JobRecord
from services.train.jobs.rows import time_of, to_event, to_record, to_row
from services.train.jobs.schema import EVENTS, JOBS
from services.train.pages import PageRequest

_RENEWED_AT: Final = 0.75  # of a lease: it is prolonged once no more than that is left
_TURN: Final = (JOBS.c.priority.desc(), JOBS.c.sequence)  # in which jobs are taken


class LeaseLostError(Exception):
    """The job has changed hands: somebody else attends it now."""


class JobTable:
    """All jobs, as one service sees them. Raises StoreUnavailableError where the database cannot be read or written."""

    def __init__(
        self,
        database: Database,
        on_change: Callable[[JobRecord], object],
        *,
        owner: str = "service",
        lease_s: float = 30.0,
    ) -> None:
        """`on_change` hears every change, in any thread. `owner` is the service's name, the same after its restart; its leases last `lease_s`.

        Raises StoreUnavailableError for a table with a job that cannot be read. Going on without that job would leave a trainer that
        nobody watches, and a caller who waits for ever.
        """
        self._database = database
        self._on_change = on_change
        self.census = Census(database)
        self._owner = owner
        self._lease_s = lease_s
        self._heard_s: float | None = None  # on the monotonic clock: when the database last answered a claim
        self._calm_s = 0.0  # until when nothing is taken over
        with database.transaction() as connection:
            check_readable(connection)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def turn(self) -> AbstractContextManager[None]:
        """Keep what is inside apart from every other turn, of this service and of every other one over the same database."""
        return self._database.turn()

    def add(self, job: JobRecord) -> JobRecord:
        """Store a new job and return it; if its request_id is there already, the job that has it."""
        with self._database.transaction() as connection:
            statement = (
                insert(connection)(JOBS)
                .values(to_row(job))
                .on_conflict_do_nothing(index_elements=["request_id"])
            )
            sequence = connection.execute(statement.returning(JOBS.c.sequence)).scalar()
            if sequence is None:
                return to_record(
                    connection.execute(JOBS.select().where(JOBS.c.request_id == job.request_id)).one()
                )
            job = replace(job, sequence=sequence)
            self._note(connection, None, job)
        self._on_change(job)
        return job

    def find_request(self, request_id: str) -> JobRecord | None:
        """Return the job of a request_id."""
        with self._database.transaction() as connection:
            return first(connection, JOBS.select().where(JOBS.c.request_id == request_id))

    def job(self, job_id: str) -> JobRecord:
        """Return a job. Raises JobNotFoundError."""
        with self._database.transaction() as connection:
            return existing(connection, job_id)

    def jobs(self, job_ids: Collection[str]) -> list[JobRecord]:
        """Return those of the jobs that are there, in no order."""
        query = JOBS.select().where(JOBS.c.id.in_(job_ids))
        with self._database.transaction() as connection:
            return [to_record(row) for row in connection.execute(query)]

    def events(self, job_id: str) -> list[JobEvent]:
        """Return what happened to a job, in order. Raises JobNotFoundError."""
        with self._database.transaction() as connection:
            job = existing(connection, job_id)
            query = EVENTS.select().where(EVENTS.c.job == job.sequence).order_by(EVENTS.c.number)
            return [to_event(row) for row in connection.execute(query)]

    def change(
        self, job_id: str, change: Callable[[JobRecord], JobRecord], *, epoch: int | None = None
    ) -> JobRecord:
        """Put `change(job)` in a job's place and return it. With `epoch`, only while the lease of that epoch holds.

        Raises JobNotFoundError, LeaseLostError, and what `change` raises.
        """
        with self._database.transaction() as connection:
            before = existing(connection, job_id, locked=True)
            if epoch is not None and before.lease.epoch != epoch:
                raise LeaseLostError(job_id)
            after = self._write(connection, before, change(before))
        if after is not before:
            self._on_change(after)
        return after

    def claim(self, *, has_place: bool = True) -> JobRecord | None:
        """Take a job to attend, None if there is none: one whose lease ran out, else, with a place for a trainer, the first of those that wait.

        A job whose lease ran out stays where it is, since whoever takes it has to see what became of its attempt; one that never had a trainer
        goes back into the queue. Nothing is taken over while nobody can tell whose fault a lease is that ran out: for the length of one after the
        database was away.
        """
        if self._may_take_over():
            while (job := self._take_over()) is not None:
                self._on_change(job)
                if job.lease.owner:
                    return job
        claimed = self._claim_waiting() if has_place else None
        if claimed is not None:
            self._on_change(claimed)
        return claimed

    def _take_over(self) -> JobRecord | None:
        """Take a job whose lease ran out; where it needs no attendant, it is nobody's."""
        with self._database.transaction() as connection:
            now_s = self._database.now_s(connection)
            abandoned = (
                JOBS.c.state.in_(RUNNING),
                JOBS.c.lease_until_s < now_s,
                JOBS.c.lease_owner != self._owner,
            )
            job = first(connection, unlocked(JOBS.select().where(*abandoned).order_by(*_TURN)))
            if job is None:
                return None
            taken = job.taken_over(now=time_of(now_s))
            if taken is job:
                taken = job.held(self._owner, until_s=now_s + self._lease_s)
            return self._write(connection, job, taken)

    def _claim_waiting(self) -> JobRecord | None:
        with self._database.transaction() as connection:
            now_s = self._database.now_s(connection)
            job = first(connection, unlocked(JOBS.select().where(JOBS.c.state == "QUEUED").order_by(*_TURN)))
            if job is None:
                return None
            held = job.held(self._owner, until_s=now_s + self._lease_s)
            return self._write(connection, job, held.claimed(now=time_of(now_s)))

    def _may_take_over(self) -> bool:
        """Whether this service has heard of the database often enough for a whole lease: others may have been as deaf as it was."""
        with self._database.transaction():
            now_s = time.monotonic()
        if self._heard_s is not None and now_s - self._heard_s > self._lease_s:
            self._calm_s = now_s + self._lease_s
        self._heard_s = now_s
        return now_s >= self._calm_s

    def reclaim(self, *, but: Collection[str] = ()) -> list[JobRecord]:
        """Take every job that is this service's, `but` those that it attends: those that it held when it ended, whether or not their leases have run out."""
        ours = (JOBS.c.state.in_(RUNNING), JOBS.c.lease_owner == self._owner, JOBS.c.id.not_in(but))
        query = JOBS.select().where(*ours)
        with self._database.transaction() as connection:
            until_s = self._database.now_s(connection) + self._lease_s
            found = [to_record(row) for row in connection.execute(query.with_for_update())]
            taken = [self._write(connection, job, job.held(self._owner, until_s=until_s)) for job in found]
        for job in taken:
            self._on_change(job)
        return taken

    def renew(self, epochs: Mapping[str, int]) -> list[JobRecord]:
        """Prolong the leases of jobs, by their epochs, and return those jobs that are still ours, as they are now."""
        query = JOBS.select().where(JOBS.c.id.in_(epochs)).with_for_update()
        with self._database.transaction() as connection:
            now_s = self._database.now_s(connection)
            found = [to_record(row) for row in connection.execute(query)]
            ours = [job for job in found if job.lease.epoch == epochs[job.id] and not job.is_final]
            due = [job.sequence for job in ours if job.lease.until_s - now_s < _RENEWED_AT * self._lease_s]
            if due:
                prolonged = JOBS.update().values(lease_until_s=now_s + self._lease_s)
                connection.execute(prolonged.where(JOBS.c.sequence.in_(due)))
        return ours

    def unfinished(self) -> list[JobRecord]:
        """Return every job that has not ended, oldest first."""
        query = JOBS.select().where(JOBS.c.state.not_in(FINAL)).order_by(JOBS.c.sequence)
        with self._database.transaction() as connection:
            return [to_record(row) for row in connection.execute(query)]

    def page(self, model: str, page: PageRequest) -> tuple[list[JobRecord], str]:
        """Return a page of the jobs of a model (empty: of all), newest first, and the next page's token."""
        limit = page.limit(default=50)
        query = JOBS.select().order_by(JOBS.c.sequence.desc()).limit(limit + 1)
        if model:
            query = query.where(JOBS.c.model == model)
        if (after := page.after(int)) is not None:
            query = query.where(JOBS.c.sequence < after)
        with self._database.transaction() as connection:
            jobs = [to_record(row) for row in connection.execute(query)]
        more = len(jobs) > limit
        return jobs[:limit], page.token_after(jobs[limit - 1].sequence) if more else ""

    def ended(self, *, before: datetime | None = None) -> list[str]:
        """Return the ids of the jobs that have ended, before a time or at all."""
        query = sa.select(JOBS.c.id).where(JOBS.c.state.in_(FINAL))
        if before is not None:
            query = query.where(JOBS.c.end_time < before.isoformat())
        with self._database.transaction() as connection:
            return list(connection.execute(query).scalars())

    def forget(self, job_ids: Collection[str]) -> None:
        """Delete ended jobs, with their histories."""
        old = (JOBS.c.state.in_(FINAL), JOBS.c.id.in_(job_ids))
        with self._database.transaction() as connection:
            found = list(connection.execute(sa.select(JOBS.c.sequence).where(*old)).scalars())
            connection.execute(EVENTS.delete().where(EVENTS.c.job.in_(found)))
            connection.execute(JOBS.delete().where(JOBS.c.sequence.in_(found)))

    def _write(self, connection: sa.Connection, before: JobRecord, after: JobRecord) -> JobRecord:
        if after == before:
            return before
        after = replace(after, revision=before.revision + 1)
        connection.execute(JOBS.update().where(JOBS.c.sequence == before.sequence).values(to_row(after)))
        self._note(connection, before, after)
        return after

    def _note(self, connection: sa.Connection, before: JobRecord | None, after: JobRecord) -> None:
        """Write what happened. Whoever comes here holds the job's row, so that numbers are given once."""
        entries = list(happened(before, after))
        if not entries:
            return
        known = sa.select(sa.func.count()).where(EVENTS.c.job == after.sequence)
        first = int(connection.execute(known).scalar_one()) + 1
        time = time_of(self._database.now_s(connection)).isoformat()
        rows = [
            {
                "job": after.sequence,
                "number": number,
                "time": time,
                "kind": each.kind,
                "attempt": each.attempt,
                "detail": each.detail,
            }
            for number, each in enumerate(entries, start=first)
        ]
        connection.execute(EVENTS.insert(), rows)
