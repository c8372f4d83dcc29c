"""Several services over one table: leases, attempts, priorities, and a history of each job."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what is new; a job that was there has no history but what happens to it from now on."""
    false, zero, empty = sa.false(), sa.text("0"), sa.text("''")
    for column in (
        sa.Column("task", sa.String, nullable=False, server_default=empty),
        sa.Column("inference_target", sa.String, nullable=False, server_default=empty),
        sa.Column("priority", sa.Integer, nullable=False, server_default=zero),
        sa.Column("most_minutes", sa.Float),
        sa.Column("stop_requested", sa.Boolean, nullable=False, server_default=false),
        sa.Column("stopped_early", sa.Boolean, nullable=False, server_default=false),
        sa.Column("attempt", sa.Integer, nullable=False, server_default=zero),
        sa.Column("losses", sa.Integer, nullable=False, server_default=zero),
        sa.Column("furthest", sa.BigInteger, nullable=False, server_default=zero),
        sa.Column("most_windows", sa.Integer),
        sa.Column("lease_owner", sa.String, nullable=False, server_default=empty),
        sa.Column("lease_epoch", sa.Integer, nullable=False, server_default=zero),
        sa.Column("lease_until_s", sa.Float, nullable=False, server_default=zero),
        sa.Column("ran_s", sa.Float, nullable=False, server_default=zero),
        sa.Column("rollout_live_count", sa.Integer),
        sa.Column("rollout_address_count", sa.Integer),
    ):
        op.add_column("jobs", column)
    jobs = sa.table("jobs", sa.column("sequence"), sa.column("spec"), sa.column("task"))
    connection = op.get_bind()
    for sequence, spec in connection.execute(sa.select(jobs.c.sequence, jobs.c.spec)).all():
        task = _task(spec)
        connection.execute(jobs.update().where(jobs.c.sequence == sequence).values(task=task))
    op.create_index("ix_jobs_queue", "jobs", ["state", sa.text("priority DESC"), "sequence"])
    op.create_table(
        "job_events",
        sa.Column("job", sa.Integer, sa.ForeignKey("jobs.sequence", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("time", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
    )


def _task(spec: str) -> str:
    """Of a spec that cannot be read nothing is told: the table says which job it is when it is opened."""
    try:
        return str(json.loads(spec)["task"])
    except (ValueError, KeyError, TypeError):
        return ""
