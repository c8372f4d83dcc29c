"""What is known of a job, and the only ways in which it changes.

An *attempt* is one trainer's try at a job, numbered from 1: the store lets at most one of them publish. A *lease* says which service attends the
job and until when; its *epoch* grows whenever the job changes hands, so that a service that was thought dead can tell that it was.

A record is frozen; each method returns the record after one change and asks the table of `lifecycle` whether it may be. Pure: the
table of jobs applies these changes inside a transaction, so no two of them ever cross.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from services.train.engines.port import Handle
from services.train.events import Failure, PhaseStarted, Progress, Resumed, Stopped, TrainerEvent
from services.train.jobs.lifecycle import FINAL, FinalState, State, check_transition, state_after
from services.train.spec import JobSpec
from shared.errors import JobAlreadyFinishedError

_A_TRIAL: Final = 1_000_000_000  # more than any training has steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A service's hold on a job, by the database's clock."""

    owner: str = ""  # the service's own name, the same after its restart; empty: nobody holds it
    epoch: int = 0  # how often the job changed hands
    until_s: float = 0.0  # seconds since 1970


@dataclass(frozen=True, slots=True)
class RolloutProgress:
    """How many inference servers answer with the job's version."""

    live_count: int
    address_count: int

    def __str__(self) -> str:
        return f"{self.live_count} of {self.address_count} live"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job. Times are UTC."""

    id: str  # empty in the answer to validate_only
    request_id: str  # the caller's, or empty
    order_digest: str  # SHA-256 of what the caller asked for; tells a repeated request_id from a reused one
    spec: JobSpec
    promote_to: str  # alias, or empty
    override_reason: str = ""  # why the alias is to move even if a quality gate fails; empty: it is not
    inference_target: str = (
        ""  # addresses of inference servers that are to serve its version before it ends; empty: none
    )
    version: str  # reserved for it, name@number
    priority: int = 0  # of those that wait, the highest goes first
    most_minutes: float | None = None  # of running, in all attempts; then it is stopped as `stopped` says
    state: State = "QUEUED"
    cancel_requested: bool = False
    stop_requested: bool = False  # training is to end now and keep the best so far
    stopped_early: bool = False  # and it did
    attempt: int = 0  # that runs, or ran last; 0: none did
    losses: int = (
        0  # attempts that were lost one after the other, none of which came further than those before
    )
    furthest: int = 0  # step of training in any attempt; a trial of a search counts as many steps
    most_windows: int | None = (
        None  # computed at once, after an attempt that the memory may have been too small for
    )
    lease: Lease = Lease()  # who attends it
    ran_s: float = 0.0  # of the attempts that are over
    progress: Progress | None = None
    rollout: RolloutProgress | None = None  # how far its version is on the servers of inference_target
    metrics: Mapping[str, float] = field(default_factory=dict)  # <split>.<metric>
    failure: Failure | None = None
    handle: Handle | None = None  # of its trainer, from before the trainer's first instruction on
    create_time: datetime
    start_time: datetime | None = None  # of the newest attempt
    end_time: datetime | None = None
    sequence: int = 0  # its place in the table, from 1; 0: not there yet
    revision: int = 1  # the table adds one with every change

    @property
    def reason(self) -> str:
        """Of its failure, empty where there is none."""
        return self.failure.reason if self.failure else ""

    @property
    def is_final(self) -> bool:
        """The job has ended and never changes again."""
        return self.state in FINAL

    def held(self, owner: str, *, until_s: float) -> "JobRecord":
        """It changes hands: `owner` attends it from now on."""
        return replace(self, lease=Lease(owner=owner, epoch=self.lease.epoch + 1, until_s=until_s))

    def taken_over(self, *, now: datetime) -> "JobRecord":
        """Its lease ran out. An attempt that has a trainer may still come to something; one that has none is another's to start no more."""
        if self.handle is not None or self.state == "ROLLING_OUT":
            return self
        waiting = self.requeued(now=now)
        return waiting.cancelled(now=now) if self.cancel_requested else waiting

    def claimed(self, *, now: datetime) -> "JobRecord":
        """Its turn has come: another attempt begins."""
        state = check_transition(self.state, "PREPARING")
        return replace(self, state=state, start_time=now, attempt=self.attempt + 1, stopped_early=False)

    def started(self, handle: Handle) -> "JobRecord":
        """Its trainer is about to run."""
        return replace(self, handle=handle)

    def is_overdue(self, *, now: datetime) -> bool:
        """It has run for longer than its caller gave it."""
        return self.most_minutes is not None and self._ran_s(now) > 60 * self.most_minutes

    def heard(self, events: Iterable[TrainerEvent]) -> "JobRecord":
        """Its trainer spoke. How it ended is decided when it is gone."""
        job = self
        for event in events:
            if isinstance(event, PhaseStarted):
                job = replace(job, state=state_after(job.state, event.phase))
            elif isinstance(event, Progress):
                job = replace(job, progress=event)
                if (reached := _A_TRIAL * event.trial + event.step) > job.furthest:
                    job = replace(job, furthest=reached, losses=0)
            elif isinstance(event, Resumed):
                job = replace(
                    job, progress=None
                )  # what the attempt before said of steps that are to be taken again
            elif isinstance(event, Stopped):
                job = replace(job, stopped_early=True)
        return job

    def stopped(self, *, now: datetime) -> "JobRecord":
        """A caller wants it to end with the best so far. One that never ran has nothing to keep: it is CANCELLED. Raises JobAlreadyFinishedError."""
        if self.state == "QUEUED" and not self.attempt:
            return replace(self, stop_requested=True).ended("CANCELLED", now=now)
        if self.is_final and not self.stop_requested:
            raise JobAlreadyFinishedError(
                f"Job {self.id} has ended as {self.state} and cannot be stopped.",
                job=self.id,
                state=self.state,
            )
        return self if self.is_final else replace(self, stop_requested=True)

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
        return self if self.is_final else replace(self, cancel_requested=True)

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
            ran_s=self._ran_s(now),
            handle=None,
            lease=self._released(),
        )

    def rolling_out(self, progress: RolloutProgress | None = None) -> "JobRecord":
        """Its alias has moved; servers are to take its version up."""
        state = self.state if self.state == "ROLLING_OUT" else check_transition(self.state, "ROLLING_OUT")
        return replace(self, state=state, rollout=progress or self.rollout)

    def released(self) -> "JobRecord":
        """Its service stops: another one may go on with it at once."""
        return replace(self, lease=self._released())

    def requeued(self, *, now: datetime) -> "JobRecord":
        """Its attempt is over for no fault of the job: another one will go on from where it was."""
        state = check_transition(self.state, "QUEUED")
        return replace(
            self, state=state, handle=None, start_time=None, ran_s=self._ran_s(now), lease=self._released()
        )

    def lost(self, *, now: datetime, most_windows: int | None = None) -> "JobRecord":
        """Its attempt was lost: it waits for another one, with at most `most_windows` at once."""
        return replace(self.requeued(now=now), losses=self.losses + 1, most_windows=most_windows)

    def _released(self) -> Lease:
        return replace(self.lease, owner="", until_s=0.0)

    def _ran_s(self, now: datetime) -> float:
        running_s = (now - self.start_time).total_seconds() if self.start_time else 0.0
        return self.ran_s + max(running_s, 0.0)
