"""The job table where its file gives trouble; what it does on a good day is shown by its users' tests."""

import sqlite3
import threading
from pathlib import Path

import pytest

from services.train.jobs.table import JobTable
from shared.errors import StoreUnavailableError
from tests.unit.train.jobs.records import job_record


def test_a_table_that_is_held_for_too_long_is_away(tmp_path: Path) -> None:
    """Whoever waits in vain for the one connection hears that the store is away, which is tried again, and nothing unforeseen."""
    table = JobTable(tmp_path / "jobs.sqlite", lambda job: None, patience_s=0.05)
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
    table = JobTable(file, lambda job: None)
    for number in range(1, 200):
        table.add(job_record(number))
    table.close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    file.write_bytes(data)
    with pytest.raises(StoreUnavailableError):
        JobTable(file, lambda job: None).job(job_record(7).id)
