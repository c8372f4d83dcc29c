"""Jobs of one service, as releases before migrations made them (their schema 5)."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "jobs",
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("request_id", sa.String, unique=True),
        sa.Column("order_digest", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False, index=True),
        sa.Column("spec", sa.String, nullable=False),
        sa.Column("promote_to", sa.String, nullable=False),
        sa.Column("override_reason", sa.String, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("progress", sa.String),
        sa.Column("metrics", sa.String, nullable=False),
        sa.Column("failure", sa.String),
        sa.Column("handle", sa.String),
        sa.Column("create_time", sa.String, nullable=False),
        sa.Column("start_time", sa.String),
        sa.Column("end_time", sa.String),
        sa.Column("revision", sa.Integer, nullable=False),
        sqlite_autoincrement=True,
    )
