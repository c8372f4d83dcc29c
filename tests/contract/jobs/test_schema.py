"""Job tables of older releases: brought up to date with what they hold, or left alone."""

import json
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from services.train.jobs.database import Database, sqlite_url
from services.train.jobs.schema import EVENTS, JOBS
from services.train.jobs.table import JobTable
from shared.errors import StoreUnavailableError
from tests.unit.train.jobs.records import NOW, SPEC

_OLD_TABLE = """
CREATE TABLE jobs (
	sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, id VARCHAR NOT NULL, request_id VARCHAR, order_digest VARCHAR NOT NULL,
	model VARCHAR NOT NULL, spec VARCHAR NOT NULL, promote_to VARCHAR NOT NULL, override_reason VARCHAR NOT NULL, version VARCHAR NOT NULL,
	state VARCHAR NOT NULL, cancel_requested BOOLEAN NOT NULL, progress VARCHAR, metrics VARCHAR NOT NULL, failure VARCHAR, handle VARCHAR,
	create_time VARCHAR NOT NULL, start_time VARCHAR, end_time VARCHAR, revision INTEGER NOT NULL, UNIQUE (id), UNIQUE (request_id)
);
CREATE INDEX ix_jobs_model ON jobs (model);
CREATE INDEX ix_jobs_state ON jobs (state);
PRAGMA user_version = 5;
"""  # as the release before migrations made it


def old_table(file: Path, *states: str) -> None:
    """Write a table as the release before migrations left it."""
    with sqlite3.connect(file) as connection:
        connection.executescript(_OLD_TABLE)
        for number, state in enumerate(states, start=1):
            handle = json.dumps({"pid": 1, "start_s": 2.0}) if state == "TRAINING" else None
            connection.execute(
                "INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, '', '', ?, ?, 0, NULL, '{}', NULL, ?, ?, NULL, NULL, 3)",
                (
                    number,
                    f"job-{number:016x}",
                    f"request {number}",
                    "d" * 64,
                    "banking",
                    SPEC.model_dump_json(),
                    f"banking@{number}",
                    state,
                    handle,
                    NOW.isoformat(),
                ),
            )


def test_the_release_before_migrations_is_brought_up_to_date(tmp_path: Path) -> None:
    """Its jobs are all there, one that ran is taken up, one that waited is claimed, and new numbers follow theirs."""
    old_table(tmp_path / "jobs.sqlite", "SUCCEEDED", "TRAINING", "QUEUED")
    table = JobTable(Database(sqlite_url(tmp_path / "jobs.sqlite")), lambda job: None, owner="here")
    assert [job.state for job in table.unfinished()] == ["TRAINING", "QUEUED"]
    assert table.census.tasks("banking") == {"classification"}
    known = table.find_request("request 1")
    assert known is not None
    assert (known.id, known.attempt, known.priority, known.revision) == ("job-0000000000000001", 0, 0, 3)
    claimed = [(job := table.claim()) and (job.sequence, job.state) for _ in range(3)]
    assert claimed == [(2, "TRAINING"), (3, "PREPARING"), None]
    table.close()
    JobTable(Database(sqlite_url(tmp_path / "jobs.sqlite")), lambda job: None).close()


def test_migrations_make_what_the_code_describes(url: str) -> None:
    """A database that migrations made has the columns, keys and indexes of `schema`, on either database."""
    database = Database(url)
    with database.transaction() as connection:
        found = sa.inspect(connection)
        for table in (JOBS, EVENTS):
            columns = {each["name"]: each["nullable"] for each in found.get_columns(table.name)}
            assert columns == {each.name: bool(each.nullable) for each in table.columns}
            keys = found.get_pk_constraint(table.name)["constrained_columns"]
            assert keys == [each.name for each in table.primary_key]
        assert {each["name"] for each in found.get_indexes("jobs")} >= {
            "ix_jobs_queue",
            "ix_jobs_state",
            "ix_jobs_model",
        }
        uniques = {tuple(each["column_names"]) for each in found.get_unique_constraints("jobs")}
        assert uniques == {("id",), ("request_id",)}
    database.close()


def test_a_newer_release_is_left_alone(open_table: Callable[..., JobTable], url: str) -> None:
    """A table that a newer release wrote is not opened, and stays as it is."""
    open_table().close()
    database = Database(url)
    with database.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(StoreUnavailableError, match="newer release"):
        open_table()


@pytest.mark.parametrize("schema", [0, 4, 6])
def test_an_unknown_schema_is_left_alone(tmp_path: Path, schema: int) -> None:
    """A table that no migration begins with is told, with what to do, and stays as it is."""
    file = tmp_path / "jobs.sqlite"
    old_table(file, "QUEUED")
    with sqlite3.connect(file) as other:
        other.execute(f"PRAGMA user_version = {schema}")
    with pytest.raises(StoreUnavailableError, match=f"schema {schema}.*release that wrote it"):
        Database(sqlite_url(file))
    with sqlite3.connect(file) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (schema,)
        assert len(other.execute("SELECT * FROM jobs").fetchall()) == 1


@pytest.mark.postgres
def test_several_services_may_open_a_new_database_at_once(postgres_url: str) -> None:
    """Replicas that start together make one schema."""
    with ThreadPoolExecutor(4) as pool:
        for database in pool.map(lambda _: Database(postgres_url), range(4)):
            database.close()


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> str:
    """An empty PostgreSQL database."""
    return str(request.getfixturevalue("postgres").new_database())
