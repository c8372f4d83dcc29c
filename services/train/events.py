"""What a trainer says: one JSON object a line in `events.jsonl` of its attempt's folder.

Every trainer ends with exactly one Finished or Failed; a process that ends without either was lost. The reader takes whole
lines only, so a torn last line is read when it is complete.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from services.train.plan import Report
from shared.errors import ProblemsError, TagsmithError

Phase = Literal["PREPARING", "TRAINING", "EVALUATING", "EXPORTING", "PUBLISHING"]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PhaseStarted(_Event):
    """The trainer has entered a phase; phases only move forward."""

    kind: Literal["phase"] = "phase"
    phase: Phase


class Progress(_Event):
    """How far training is; at most about five a second."""

    kind: Literal["progress"] = "progress"
    step: int
    total_steps: int
    epoch: int
    loss: float
    metric_name: str  # accuracy | span_f1
    metric: float | None  # the last evaluation
    best_metric: float | None
    evaluated: bool = False  # `metric` is of this step
    interval_loss: float | None = None  # where evaluated: mean since the evaluation before
    trial: int = 0  # of a search, from 1; 0: there is none
    remaining_ms: int
    rows_per_second: float


class Resumed(_Event):
    """Training goes on from what an earlier attempt kept; where that had ended training, from its end."""

    kind: Literal["resumed"] = "resumed"
    step: int  # that was taken last


class Stopped(_Event):
    """Training was ended early, on request, with the best so far; what follows is as usual."""

    kind: Literal["stopped"] = "stopped"
    step: int  # that was taken last; of a search, by the trial that is kept


class ProblemRecord(_Event):
    """shared.errors.Problem on the way to the service."""

    field: str
    description: str


class Failure(_Event):
    """A TagsmithError on the way to the service; `reason` INTERNAL for anything unforeseen, its text only in the job's log."""

    reason: str
    message: str
    metadata: dict[str, str] = {}
    problems: tuple[ProblemRecord, ...] = ()

    @classmethod
    def of(cls, error: TagsmithError) -> Self:
        """What callers will read of `error`."""
        problems = error.problems if isinstance(error, ProblemsError) else ()
        return cls(
            reason=error.reason,
            message=error.message,
            metadata=error.metadata,
            problems=tuple(
                ProblemRecord(field=each.field, description=each.description) for each in problems
            ),
        )


class Surveyed(_Event):
    """What a survey found out."""

    kind: Literal["surveyed"] = "surveyed"
    report: Report


class Finished(_Event):
    """The version is in the store, passed by the gate or refused by it; its manifest has all there is to know."""

    kind: Literal["finished"] = "finished"


class Failed(_Event):
    """Nothing was published."""

    kind: Literal["failed"] = "failed"
    failure: Failure


TrainerEvent = PhaseStarted | Progress | Resumed | Stopped | Surveyed | Finished | Failed
EVENT: TypeAdapter[TrainerEvent] = TypeAdapter(Annotated[TrainerEvent, Field(discriminator="kind")])
