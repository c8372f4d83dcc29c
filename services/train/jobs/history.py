"""What happened to a job, one entry for each thing that people ask about afterwards: derived from two of its records, never told twice. Pure.

Progress is no part of it: it stands in the record, and the whole curve in the version's manifest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.train.jobs.lifecycle import PHASES, State
from services.train.jobs.record import JobRecord

Kind = Literal[
    "ACCEPTED",
    "ATTEMPT_STARTED",
    "ATTENDED_ELSEWHERE",
    "PHASE_ENTERED",
    "ATTEMPT_LOST",
    "REQUEUED",
    "CANCEL_REQUESTED",
    "STOP_REQUESTED",
    "STOPPED_EARLY",
    "ROLLOUT_CHANGED",
    "ENDED",
]


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One entry of a job's history."""

    kind: Kind
    attempt: int  # that it belongs to; 0: before the first
    detail: str = ""  # the phase, the final state, the service's name, the reason
    time: datetime | None = None  # the table writes it
    number: int = 0  # in the job's history, from 1; the table counts


def happened(before: JobRecord | None, after: JobRecord) -> Iterator[JobEvent]:
    """Yield what lies between two records of a job, in order; `before` is None for one that is new."""
    if before is None:
        yield JobEvent("ACCEPTED", 0, str(after.priority) if after.priority else "")
        return
    attempt = after.attempt
    if after.cancel_requested and not before.cancel_requested:
        yield JobEvent("CANCEL_REQUESTED", attempt)
    if after.stop_requested and not before.stop_requested:
        yield JobEvent("STOP_REQUESTED", attempt)
    if attempt > before.attempt:
        yield JobEvent("ATTEMPT_STARTED", attempt, after.lease.owner)
    elif after.lease.epoch > before.lease.epoch:
        yield JobEvent("ATTENDED_ELSEWHERE", attempt, after.lease.owner)
    if after.stopped_early and not before.stopped_early:
        yield JobEvent("STOPPED_EARLY", attempt)
    if after.rollout != before.rollout:
        yield JobEvent("ROLLOUT_CHANGED", attempt, str(after.rollout))
    if after.state == before.state:
        return
    if after.losses > before.losses:
        yield JobEvent("ATTEMPT_LOST", attempt)
    if after.is_final:
        reason = f": {after.failure.reason}" if after.failure else ""
        yield JobEvent("ENDED", attempt, after.state + reason)
    elif after.state == "QUEUED":
        yield JobEvent("REQUEUED", attempt)
    else:
        yield from (
            JobEvent("PHASE_ENTERED", attempt, state) for state in _entered(before.state, after.state)
        )


def _entered(before: State, after: State) -> tuple[State, ...]:
    """The states on the way: a trainer may enter several between two looks at it."""
    if before not in PHASES or after not in PHASES:
        return (after,)
    return PHASES[PHASES.index(before) + 1 : PHASES.index(after) + 1]
