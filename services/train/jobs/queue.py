"""Where a waiting job stands, and when its turn may come.

The estimate is no promise: the jobs before it, and half of each that runs, take as long as the last jobs took, on as many places as are taken now.
"""

from dataclasses import dataclass

from services.train.jobs.record import JobRecord
from services.train.jobs.table import JobTable


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """The place of one job."""

    ahead_count: int  # jobs that go first
    expected_wait_s: float | None  # None: nothing tells


def place_of(job: JobRecord, table: JobTable, *, most_running: int) -> QueuePlace | None:
    """Return the place of a job, None for one that does not wait. `most_running` jobs run here at a time. Blocks."""
    if job.state != "QUEUED":
        return None
    ahead = table.census.ahead_of(job)
    return QueuePlace(
        ahead, expected_wait_s(ahead, table.census.running_count(), table.census.usual_s(), most_running)
    )


def expected_wait_s(ahead: int, running: int, usual_s: float | None, most_running: int) -> float | None:
    """Return the seconds until `ahead` jobs have begun and a place is free; None where no job has shown yet how long it takes. Pure."""
    places = max(running, most_running)  # other services may run some too
    if ahead + running < places:
        return 0.0
    if usual_s is None:
        return None
    return (ahead + running / 2) / places * usual_s
