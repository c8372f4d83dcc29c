"""Whether every job of a table can be read: told at the start, before anybody waits for one that cannot."""

from typing import Any, Final

import sqlalchemy as sa

from services.train.jobs.lifecycle import FOLLOWERS
from services.train.jobs.rows import to_record
from services.train.jobs.schema import JOBS
from shared.errors import StoreUnavailableError

_MOST_NAMED: Final = 10


def check_readable(connection: sa.Connection) -> None:
    """Raise StoreUnavailableError, with the jobs that cannot be read, if there are any."""
    damaged = [row.id for row in connection.execute(JOBS.select()) if not _is_readable(row)]
    if damaged:
        named = ", ".join(damaged[:_MOST_NAMED]) + (", ..." if len(damaged) > _MOST_NAMED else "")
        raise StoreUnavailableError(
            f"The job table has {len(damaged)} jobs that cannot be read: {named}. Nothing was changed. Bring it"
            " back from a backup, or end their trainers and delete these rows; their versions stay in the store.",
            operation="job table",
            cause="unreadable jobs",
        )


def _is_readable(row: sa.Row[Any]) -> bool:
    try:
        return to_record(row).state in FOLLOWERS
    except (ValueError, TypeError):  # pydantic's and JSON's errors are ValueErrors
        return False
