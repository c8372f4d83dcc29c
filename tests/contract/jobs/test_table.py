"""What the table of jobs promises, on real SQLite files."""

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from services.train.events import Failure, ProblemRecord
from services.train.jobs.record import JobRecord
from services.train.jobs.table import SCHEMA_VERSION, JobTable
from services.train.pages import PageRequest
from shared.errors import JobAlreadyFinishedError, JobNotFoundError, StoreUnavailableError
from tests.unit.train.jobs.records import LATER, PROGRESS, job_record

Changes = list[JobRecord]


@pytest.fixture
def changes() -> Changes:
    """What the listener heard."""
    return []


@pytest.fixture
def open_table(tmp_path: Path, changes: Changes) -> Iterator[Callable[[], JobTable]]:
    """Open the one file, as often as asked."""
    tables: list[JobTable] = []

    def open_() -> JobTable:
        tables.append(JobTable(tmp_path / "jobs.sqlite", changes.append))
        return tables[-1]

    yield open_
    for table in tables:
        table.close()


@pytest.fixture
def table(open_table: Callable[[], JobTable]) -> JobTable:
    """An empty table."""
    return open_table()


def test_every_field_survives_a_reopening(open_table: Callable[[], JobTable]) -> None:
    """A job with every field set is read back equal by another process's eyes."""
    table = open_table()
    failure = Failure(
        reason="GATE_REJECTED",
        message="no",
        metadata={"checks": "fp32.logits"},
        problems=(ProblemRecord(field="a", description="b"),),
    )
    full = job_record(
        request_id="nightly",
        cancel_requested=True,
        progress=PROGRESS,
        handle={"pid": 17, "start_s": 12.34},
        start_time=LATER,
        state="TRAINING",
    ).ended("REJECTED", now=LATER, metrics={"test.accuracy": 0.1 + 0.2}, failure=failure)
    stored = table.add(full)
    table.close()

    assert open_table().job(full.id) == stored == replace(full, sequence=1)


def test_what_is_acknowledged_is_on_disk(table: JobTable, tmp_path: Path) -> None:
    """Writes are in WAL mode with synchronous FULL: a commit returns when it is on disk."""
    with table._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    table.add(job_record())
    with sqlite3.connect(tmp_path / "jobs.sqlite") as other:
        assert other.execute("SELECT count(*) FROM jobs").fetchone() == (1,)


def test_one_request_id_is_one_job(table: JobTable) -> None:
    """Sixteen threads that add jobs with one request_id all get the first; jobs without one never meet."""
    with ThreadPoolExecutor(16) as pool:
        jobs = list(pool.map(lambda n: table.add(job_record(n, request_id="same")), range(1, 17)))
    assert len({job.id for job in jobs}) == 1
    assert table.find_request("same") == jobs[0]
    assert table.find_request("other") is None
    assert len({table.add(job_record(n)).id for n in (101, 102)}) == 2


def test_each_waiting_job_is_claimed_once_and_oldest_first(table: JobTable) -> None:
    """Threads that claim at once share the waiting jobs without overlap; one claimer gets them by age."""
    for number in range(1, 21):
        table.add(job_record(number))
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: table.claim(now=LATER), range(10)))
    assert sorted(job.sequence for job in claimed if job) == list(range(1, 11))
    assert [(job := table.claim(now=LATER)) and job.sequence for _ in range(11)] == [*range(11, 21), None]
    job = table.job(job_record(1).id)
    assert (job.state, job.start_time, job.revision) == ("PREPARING", LATER, 2)


def test_changes_never_cross(table: JobTable) -> None:
    """Sixteen threads that change one job at once lose no change."""
    job = table.add(job_record())

    def step(job: JobRecord) -> JobRecord:
        progress = job.progress or PROGRESS.model_copy(update={"step": 0})
        return replace(job, progress=progress.model_copy(update={"step": progress.step + 1}))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: table.change(job.id, step), range(64)))
    changed = table.job(job.id)
    assert changed.progress is not None
    assert (changed.progress.step, changed.revision) == (64, 65)


def test_a_refused_change_changes_nothing(table: JobTable, changes: Changes) -> None:
    """A change that raises leaves the job and the listener alone; one that changes nothing has no revision."""
    job = table.add(job_record(state="SUCCEEDED"))
    with pytest.raises(JobAlreadyFinishedError):
        table.change(job.id, lambda job: job.cancelled(now=LATER))
    assert table.change(job.id, lambda job: job) == job
    assert changes == [job]


def test_the_listener_hears_every_committed_change(table: JobTable, changes: Changes, tmp_path: Path) -> None:
    """Additions, claims and changes are told with rising revisions, after they can be read by anybody."""
    job = table.add(job_record())
    table.claim(now=LATER)
    table.change(job.id, lambda job: job.ended("FAILED", now=LATER))
    assert [(each.state, each.revision) for each in changes] == [
        ("QUEUED", 1),
        ("PREPARING", 2),
        ("FAILED", 3),
    ]
    assert changes[-1] == table.job(job.id)


def test_unfinished_jobs_are_found(table: JobTable) -> None:
    """Jobs that wait or run are found, oldest first; those that ended are not."""
    for number, state in enumerate(("SUCCEEDED", "TRAINING", "QUEUED", "CANCELLED"), start=1):
        table.add(job_record(number, state=state))
    table.add(job_record(5, model="other"))
    assert [job.state for job in table.unfinished("banking")] == ["TRAINING", "QUEUED"]
    assert [job.spec.model for job in table.unfinished()] == ["banking", "banking", "other"]


def test_pages_of_a_model(table: JobTable) -> None:
    """Pages are newest first, of one model or of all."""
    for number in range(1, 6):
        table.add(job_record(number, model="odd" if number % 2 else "even"))
    jobs, token = table.page("odd", PageRequest(2, "", of="odd"))
    assert [job.sequence for job in jobs] == [5, 3]
    jobs, token = table.page("odd", PageRequest(2, token, of="odd"))
    assert ([job.sequence for job in jobs], token) == ([1], "")
    jobs, token = table.page("", PageRequest(0, "", of=""))
    assert ([job.sequence for job in jobs], token) == ([5, 4, 3, 2, 1], "")


def test_an_unknown_job_is_not_found(table: JobTable) -> None:
    """Reading or changing a job that is not there raises."""
    with pytest.raises(JobNotFoundError):
        table.job("job-ffffffffffffffff")
    with pytest.raises(JobNotFoundError):
        table.change("job-ffffffffffffffff", lambda job: job)


def test_a_full_disk_is_a_store_that_is_away(table: JobTable, changes: Changes) -> None:
    """When the file cannot grow, the caller gets StoreUnavailableError, nothing is acknowledged, and later writes work again."""
    first = table.add(job_record())
    with table._engine.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for number in range(2, 200):
            table.add(job_record(number))

    with pytest.raises(StoreUnavailableError, match="full"):
        fill()
    stored = len(table.unfinished())
    assert stored == len(changes)
    with table._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    table.add(job_record(500))
    assert table.job(first.id) == first
    assert len(table.unfinished()) == stored + 1


@pytest.mark.parametrize(
    ("schema", "remedy"),
    [
        (SCHEMA_VERSION + 1, "newer release"),
        (SCHEMA_VERSION - 1, "release that wrote it"),
        (0, "release that wrote it"),
    ],
)
def test_a_table_of_another_schema_is_refused(
    open_table: Callable[[], JobTable], tmp_path: Path, schema: int, remedy: str
) -> None:
    """A table that another release, newer or older, wrote is left alone, and the error says what to run."""
    open_table().close()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as other:
        other.execute(f"PRAGMA user_version = {schema}")
    with pytest.raises(StoreUnavailableError, match=remedy):
        open_table()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as other:
        assert other.execute("PRAGMA user_version").fetchone() == (schema,)


@pytest.mark.parametrize(
    "damage", ["spec = '{}'", "spec = 'oops'", "state = 'DREAMING'", "create_time = 'noon'", "handle = '{'"]
)
@pytest.mark.parametrize("state", ["QUEUED", "TRAINING", "SUCCEEDED"])
def test_a_job_that_cannot_be_read_is_named_at_the_start(
    open_table: Callable[[], JobTable], tmp_path: Path, state: str, damage: str
) -> None:
    """A table with a job that cannot be read is not opened: the error names the job and what to do, and the file stays as it is."""
    table = open_table()
    table.add(job_record(1))
    broken = table.add(job_record(2, state=state))
    table.close()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as other:
        other.execute(f"UPDATE jobs SET {damage} WHERE id = '{broken.id}'")  # noqa: S608  # of this test
    with pytest.raises(StoreUnavailableError, match=f"1 jobs that cannot be read: {broken.id}.*backup"):
        open_table()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as other:
        other.execute(f"DELETE FROM jobs WHERE id = '{broken.id}'")  # noqa: S608  # of this test
    assert [job.id for job in open_table().unfinished()] == [job_record(1).id]
