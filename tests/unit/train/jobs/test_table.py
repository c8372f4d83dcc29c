"""The job table where its file gives trouble; what it does on a good day is shown by its users' tests."""

import sqlite3
import threading
from pathlib import Path

import pytest

from services.train.jobs.database import Database, sqlite_url
from services.train.jobs.record import JobRecord
from services.train.jobs.table import JobTable
from shared.errors import StoreUnavailableError
from tests.unit.train.jobs.records import job_record


def test_a_table_that_is_held_for_too_long_is_away(tmp_path: Path) -> None:
    """Whoever waits in vain for the one connection hears that the store is away, which is tried again, and nothing unforeseen."""
    table = JobTable(Database(sqlite_url(tmp_path / "jobs.sqlite"), patience_s=0.05), lambda job: None)
    table.add(job_record(1))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        def keep(job):  # type: ignore[no-untyped-def]
            held.set()
            assert done.wait(10)
            return job

        table.change(job_record(1).id, keep)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    try:
        with pytest.raises(StoreUnavailableError, match="busy"):
            table.job(job_record(1).id)
    finally:
        done.set()
        holder.join()
    assert table.job(job_record(1).id).id == job_record(1).id


def test_a_damaged_file_is_a_store_that_is_away(tmp_path: Path) -> None:
    """Pages that SQLite cannot make sense of are told as such, whatever class of its errors they are."""
    file = tmp_path / "jobs.sqlite"
    table = JobTable(Database(sqlite_url(file)), lambda job: None)
    for number in range(1, 200):
        table.add(job_record(number))
    table.close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    file.write_bytes(data)
    with pytest.raises(StoreUnavailableError):
        JobTable(Database(sqlite_url(file)), lambda job: None).job(job_record(7).id)


def test_what_is_acknowledged_is_on_disk(tmp_path: Path) -> None:
    """Writes are in WAL mode with synchronous FULL: a commit returns when it is on disk."""
    database = Database(sqlite_url(tmp_path / "jobs.sqlite"))
    table = JobTable(database, lambda job: None)
    with database._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    table.add(job_record())
    with sqlite3.connect(tmp_path / "jobs.sqlite") as other:
        assert other.execute("SELECT count(*) FROM jobs").fetchone() == (1,)


def test_a_full_disk_is_a_store_that_is_away(tmp_path: Path) -> None:
    """When the file cannot grow, the caller gets StoreUnavailableError, nothing is acknowledged, and later writes work again."""
    changes: list[JobRecord] = []
    database = Database(sqlite_url(tmp_path / "jobs.sqlite"))
    table = JobTable(database, changes.append)
    first = table.add(job_record())
    with database._engine.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for number in range(2, 200):
            table.add(job_record(number))

    with pytest.raises(StoreUnavailableError, match="full"):
        fill()
    stored = len(table.unfinished())
    assert stored == len(changes)
    with database._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    table.add(job_record(500))
    assert table.job(first.id) == first
    assert len(table.unfinished()) == stored + 1
