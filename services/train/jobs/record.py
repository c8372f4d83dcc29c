"""What is known of a job, and the only ways in which it changes.

A record is frozen; each method returns the record after one change and asks the table of `lifecycle` whether it may be. Pure: the
table of jobs applies these changes inside a transaction, so no two of them ever cross.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.train.engines.port import Handle
from services.train.events import Failure, PhaseStarted, Progress, TrainerEvent
from services.train.jobs.lifecycle import FINAL, FinalState, State, check_transition, state_after
from services.train.spec import JobSpec
from shared.errors import JobAlreadyFinishedError


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job. Times are UTC."""

    id: str  # empty in the answer to validate_only
    request_id: str  # the caller's, or empty
    order_digest: str  # SHA-256 of what the caller asked for; tells a repeated request_id from a reused one
    spec: JobSpec
    promote_to: str  # alias, or empty
    override_reason: str = ""  # why the alias is to move even if a quality gate fails; empty: it is not
    version: str  # reserved for it, name@number
    state: State = "QUEUED"
    cancel_requested: bool = False
    progress: Progress | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)  # <split>.<metric>
    failure: Failure | None = None
    handle: Handle | None = None  # of its trainer, from before the trainer's first instruction on
    create_time: datetime
    start_time: datetime | None = None
    end_time: datetime | None = None
    sequence: int = 0  # its place in the table, from 1; 0: not there yet
    revision: int = 1  # the table adds one with every change

    @property
    def is_final(self) -> bool:
        """The job has ended and never changes again."""
        return self.state in FINAL

    def claimed(self, *, now: datetime) -> "JobRecord":
        """Its turn has come."""
        return replace(self, state=check_transition(self.state, "PREPARING"), start_time=now)

    def started(self, handle: Handle) -> "JobRecord":
        """Its trainer is about to run."""
        return replace(self, handle=handle)

    def heard(self, events: Iterable[TrainerEvent]) -> "JobRecord":
        """Its trainer spoke. How it ended is decided when it is gone."""
        job = self
        for event in events:
            if isinstance(event, PhaseStarted):
                job = replace(job, state=state_after(job.state, event.phase))
            elif isinstance(event, Progress):
                job = replace(job, progress=event)
        return job

    def cancelled(self, *, now: datetime) -> "JobRecord":
        """A caller wants it to end: at once if it waits, else as soon as its trainer is gone. Raises JobAlreadyFinishedError."""
        if self.state == "QUEUED":
            return replace(self, cancel_requested=True).ended("CANCELLED", now=now)
        if self.is_final and self.state != "CANCELLED":
            raise JobAlreadyFinishedError(
                f"Job {self.id} has ended as {self.state} and cannot be cancelled.",
                job=self.id,
                state=self.state,
            )
        return replace(self, cancel_requested=True)

    def ended(
        self,
        state: FinalState,
        *,
        now: datetime,
        metrics: Mapping[str, float] | None = None,
        failure: Failure | None = None,
    ) -> "JobRecord":
        """It is over."""
        return replace(
            self,
            state=check_transition(self.state, state),
            metrics=metrics or {},
            failure=failure,
            end_time=now,
        )

    def requeued(self) -> "JobRecord":
        """Its trainer was stopped for no fault of the job: it will run anew."""
        return replace(
            self, state=check_transition(self.state, "QUEUED"), handle=None, progress=None, start_time=None
        )
