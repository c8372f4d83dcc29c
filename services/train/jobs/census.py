"""What is asked of all jobs together: how many, how long, what of. None of it reads more of a job than it needs, so that ten thousand are no matter."""

import json
from statistics import median
from typing import Final

import sqlalchemy as sa

from services.train.jobs.database import Database
from services.train.jobs.lifecycle import FINAL, RUNNING
from services.train.jobs.record import JobRecord
from services.train.jobs.schema import JOBS
from shared.store.manifest import Task

_RECENT_JOBS: Final = 20  # whose times say how long the next one may take


class Census:
    """Counts the jobs of a database. Any thread may call; raises StoreUnavailableError."""

    def __init__(self, database: Database) -> None:
        """`database` has the table of jobs."""
        self._database = database

    def tasks(self, model: str) -> set[Task]:
        """Return what the jobs of a model do that have not ended."""
        query = sa.select(JOBS.c.task).where(JOBS.c.model == model, JOBS.c.state.not_in(FINAL)).distinct()
        with self._database.transaction() as connection:
            return set(connection.execute(query).scalars())

    def ahead_of(self, job: JobRecord) -> int:
        """Return how many jobs wait that go before a job that waits."""
        before = (JOBS.c.priority > job.priority) | (
            (JOBS.c.priority == job.priority) & (JOBS.c.sequence < job.sequence)
        )
        query = sa.select(sa.func.count()).where(JOBS.c.state == "QUEUED", before)
        with self._database.transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def usual_s(self) -> float | None:
        """Return how many seconds jobs take: the median of those that published last, None if none did yet."""
        query = sa.select(JOBS.c.ran_s).where(JOBS.c.state.in_(("SUCCEEDED", "STOPPED")))
        with self._database.transaction() as connection:
            ran = connection.execute(query.order_by(JOBS.c.sequence.desc()).limit(_RECENT_JOBS)).scalars()
            return median(found) if (found := list(ran)) else None

    def running_count(self) -> int:
        """Return how many jobs are being attended, by whomever."""
        query = sa.select(sa.func.count()).where(JOBS.c.state.in_(RUNNING))
        with self._database.transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in which state."""
        query = sa.select(JOBS.c.state, sa.func.count().label("jobs")).group_by(JOBS.c.state)
        with self._database.transaction() as connection:
            return {row.state: row.jobs for row in connection.execute(query)}

    def needs(self) -> list[tuple[str, str, str]]:
        """Return (job, dataset, version that it goes on from, or empty) of every job that has not ended; of ten thousand in a moment."""
        query = sa.select(JOBS.c.id, JOBS.c.spec).where(JOBS.c.state.not_in(FINAL))
        with self._database.transaction() as connection:
            specs = [(row.id, json.loads(row.spec)) for row in connection.execute(query)]
        return [
            (job_id, spec["dataset"], (spec.get("continues") or {}).get("version", ""))
            for job_id, spec in specs
        ]
