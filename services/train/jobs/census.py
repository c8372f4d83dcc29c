"""How many jobs are in which state, for the metric. Runs in the event loop."""

from services.train.jobs.lifecycle import State
from services.train.jobs.record import JobRecord
from shared.telemetry import metrics


class Census:
    """Follows every job by its changes; those that ended before the start are not counted."""

    def __init__(self) -> None:
        """Know no job yet."""
        self._known: dict[str, tuple[int, State]] = {}

    def note(self, job: JobRecord) -> None:
        """Count a job in the state that it has now; a change that comes late, after a later one, is passed over."""
        revision, state = self._known.get(job.id, (0, None))
        if job.revision <= revision:
            return
        if state is not None:
            metrics.JOBS.labels(state).dec()
        metrics.JOBS.labels(job.state).inc()
        self._known[job.id] = (job.revision, job.state)
