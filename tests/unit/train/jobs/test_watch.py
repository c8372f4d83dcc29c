"""Watching jobs, in virtual time."""

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace

import pytest

from services.train.jobs.record import JobRecord
from services.train.jobs.watch import Watch
from shared.errors import JobNotFoundError, ServerDrainingError
from tests.unit.train.jobs.records import LATER, job_record

pytestmark = pytest.mark.looptime

RUNNING = replace(job_record().claimed(now=LATER), revision=2)


def at(revision: int, job: JobRecord = RUNNING) -> JobRecord:
    """The job at a later revision."""
    return replace(job, revision=revision)


class Jobs:
    """A table of one job, slow to read."""

    def __init__(self, job: JobRecord) -> None:
        self.job = job
        self.watch = Watch(self.read, heartbeat_s=15)

    async def read(self, job_id: str) -> JobRecord:
        job = self.job
        await asyncio.sleep(0.1)
        if job_id != job.id:
            raise JobNotFoundError("no", job=job_id)
        return job

    def change(self, job: JobRecord) -> None:
        self.job = job
        self.watch.publish(job)


@pytest.fixture
def jobs() -> Jobs:
    """One running job."""
    return Jobs(RUNNING)


async def test_the_first_snapshot_comes_at_once(jobs: Jobs) -> None:
    """A watch opens with the job as it is."""
    async with aclosing(jobs.watch.follow(RUNNING.id)) as snapshots:
        assert await anext(snapshots) == RUNNING


async def test_a_silent_job_is_repeated_every_15_seconds(jobs: Jobs) -> None:
    """Without changes the snapshot is repeated, so that connections stay up and readers know."""
    loop = asyncio.get_running_loop()
    async with aclosing(jobs.watch.follow(RUNNING.id)) as snapshots:
        await anext(snapshots)
        started_s = loop.time()
        assert await anext(snapshots) == RUNNING
        assert loop.time() - started_s == pytest.approx(15)


async def test_a_slow_reader_gets_the_latest(jobs: Jobs) -> None:
    """Publishing never waits for a reader; one that sleeps through a hundred changes then sees the last."""
    async with aclosing(jobs.watch.follow(RUNNING.id)) as snapshots:
        await anext(snapshots)
        started_s = time.monotonic()
        for revision in range(3, 103):
            jobs.change(at(revision))
        assert time.monotonic() - started_s < 1
        await asyncio.sleep(5)
        assert (await anext(snapshots)).revision == 102


async def test_changes_out_of_order_never_go_back(jobs: Jobs) -> None:
    """A snapshot that a thread delivers late, after a later one, is dropped."""
    async with aclosing(jobs.watch.follow(RUNNING.id)) as snapshots:
        await anext(snapshots)
        jobs.watch.publish(at(5))
        jobs.watch.publish(at(4))
        assert (await anext(snapshots)).revision == 5


async def test_the_end_is_never_missed(jobs: Jobs) -> None:
    """An end that falls between opening the watch and reading the table, or upon any snapshot, is seen, and ends the watch."""
    ended = at(9, replace(RUNNING, state="SUCCEEDED"))
    for delay_s in (0.0, 0.05, 0.1, 0.15, 14.0):
        jobs = Jobs(RUNNING)
        asyncio.get_running_loop().call_later(delay_s, jobs.change, ended)
        assert [job async for job in jobs.watch.follow(RUNNING.id)][-1] == ended


async def test_an_unknown_job_is_not_found(jobs: Jobs) -> None:
    """Watching a job that is not there raises."""
    with pytest.raises(JobNotFoundError):
        await anext(jobs.watch.follow("job-ffffffffffffffff"))


async def test_closing_ends_every_watch(jobs: Jobs) -> None:
    """When the service stops, open watches and later ones end with ServerDrainingError."""
    open_watch = jobs.watch.follow(RUNNING.id)
    await anext(open_watch)
    jobs.watch.close()
    for snapshots in (open_watch, jobs.watch.follow(RUNNING.id)):
        with pytest.raises(ServerDrainingError):
            await anext(snapshots)


async def test_readers_that_leave_are_forgotten(jobs: Jobs) -> None:
    """A reader that breaks off, or is cancelled while it waits, leaves nothing behind."""
    async with aclosing(jobs.watch.follow(RUNNING.id)) as snapshots:
        await anext(snapshots)

    async def wait_on() -> None:
        async for _ in jobs.watch.follow(RUNNING.id):
            pass

    waiting = asyncio.create_task(wait_on())
    await asyncio.sleep(1)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert jobs.watch._readers == {}
