"""How many trainings a job is. Pure."""

from math import ceil

from services.train.spec import JobSpec

_MINUTE_MS = 60_000


def training_count(spec: JobSpec, training_ms: float) -> int:
    """Return how many trainings, each of `training_ms`, a spec asks for at most: those of a search that begin in time, and the gain's."""
    return _trial_count(spec, training_ms) + spec.measures_gain


def _trial_count(spec: JobSpec, training_ms: float) -> int:
    if spec.search is None:
        return 1
    if spec.search.most_minutes is None:
        return spec.search.most_trials
    begun = ceil(_MINUTE_MS * spec.search.most_minutes / max(1.0, training_ms))
    return min(spec.search.most_trials, begun)
