"""The tables, and how an older database becomes one of today's."""

from importlib.resources import files
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError

from shared.errors import StoreUnavailableError

_METADATA = sa.MetaData()
JOBS: Final = sa.Table(
    "jobs",
    _METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("id", sa.String, nullable=False, unique=True),
    sa.Column("request_id", sa.String, unique=True),  # NULL where the caller gave none
    sa.Column("order_digest", sa.String, nullable=False),
    sa.Column("model", sa.String, nullable=False, index=True),
    sa.Column("task", sa.String, nullable=False),  # the spec's
    sa.Column("spec", sa.String, nullable=False),  # JSON, like all below that are not plain
    sa.Column("promote_to", sa.String, nullable=False),
    sa.Column("override_reason", sa.String, nullable=False),
    sa.Column("inference_target", sa.String, nullable=False),
    sa.Column("version", sa.String, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("most_minutes", sa.Float),
    sa.Column("state", sa.String, nullable=False, index=True),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("stop_requested", sa.Boolean, nullable=False),
    sa.Column("stopped_early", sa.Boolean, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("losses", sa.Integer, nullable=False),
    sa.Column("furthest", sa.BigInteger, nullable=False),
    sa.Column("most_windows", sa.Integer),
    sa.Column("lease_owner", sa.String, nullable=False),
    sa.Column("lease_epoch", sa.Integer, nullable=False),
    sa.Column("lease_until_s", sa.Float, nullable=False),  # seconds since 1970
    sa.Column("ran_s", sa.Float, nullable=False),
    sa.Column("progress", sa.String),
    sa.Column("rollout_live_count", sa.Integer),
    sa.Column("rollout_address_count", sa.Integer),
    sa.Column("metrics", sa.String, nullable=False),
    sa.Column("failure", sa.String),
    sa.Column("handle", sa.String),
    sa.Column("create_time", sa.String, nullable=False),  # ISO 8601, UTC
    sa.Column("start_time", sa.String),
    sa.Column("end_time", sa.String),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Index("ix_jobs_queue", "state", sa.text("priority DESC"), "sequence"),
    sqlite_autoincrement=True,  # a sequence number is never used twice
)
EVENTS: Final = sa.Table(
    "job_events",
    _METADATA,
    sa.Column("job", sa.Integer, sa.ForeignKey("jobs.sequence", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),  # from 1 in each job
    sa.Column("time", sa.String, nullable=False),  # ISO 8601, UTC
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("detail", sa.String, nullable=False),
)

_BEFORE_MIGRATIONS: Final = "0001"  # the revision that is what releases wrote that knew no migrations
_THEIR_SCHEMA: Final = 5  # as these releases numbered it


def upgrade(connection: sa.Connection) -> None:
    """Bring the database up to today's schema, in the connection's transaction.

    Raises StoreUnavailableError for one that a newer release wrote, or one so old that no migration knows it.
    """
    config = Config()
    config.set_main_option("script_location", str(files("services.train.jobs") / "migrations"))
    config.attributes["connection"] = connection
    if MigrationContext.configure(connection).get_current_revision() is None and sa.inspect(
        connection
    ).has_table("jobs"):
        _check_known(connection)
        command.stamp(config, _BEFORE_MIGRATIONS)
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreUnavailableError(
            "The job table was written by a newer release: run that one, or bring back the backup from before it was run.",
            operation="job table",
            cause="newer schema",
        ) from error


def _check_known(connection: sa.Connection) -> None:
    found = (
        connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if connection.dialect.name == "sqlite"
        else "unknown"
    )
    if found != _THEIR_SCHEMA:
        raise StoreUnavailableError(
            f"The job table has schema {found}, which this release cannot bring up to date. Let the release that wrote it finish its"
            " jobs, then move the table away; versions and datasets are in the store.",
            operation="job table",
            cause=f"schema {found}",
        )
