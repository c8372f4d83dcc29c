"""All the trainings of a job: of its network or a search for one, then of the one that the gain is measured against."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from services.train.events import PhaseStarted, Progress, Resumed, Stopped
from services.train.spec import Assignment
from services.train.trainer.driving import Driver
from services.train.trainer.gain import teach_from_scratch
from services.train.trainer.kept import Kept
from services.train.trainer.network import Network
from services.train.trainer.search import find
from services.train.trainer.stopping import StopRequest
from services.train.trainer.taught import Taught
from services.train.trainer.teaching import Lesson, Telling
from shared.store.evaluation import Trial

Emit = Callable[[PhaseStarted | Progress | Resumed | Stopped], None]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What training came to."""

    assignment: Assignment  # with the hyperparameters that a search has found
    taught: Taught
    trials: tuple[Trial, ...]
    untaught: Network | None  # what the gain is measured against
    stopped_step: int | None


def teach_all(assignment: Assignment, lesson: Lesson, kept: Kept, emit: Emit, stop: StopRequest) -> Trained:
    """Train all that the spec asks for, or what there is time for until training is asked to end."""
    told = Telling(emit)
    driver = Driver(
        told.note,
        kept.checkpoints("checkpoints"),
        stop,
        lambda step: emit(Resumed(step=step)),
        assignment.most_windows,
    )
    spec = assignment.spec
    trials: tuple[Trial, ...] = ()
    if spec.search is None:
        taught = lesson.teach(driver)
        was_stopped = taught.course.was_stopped
    else:
        found = find(lesson, spec.search, driver, kept)
        taught, trials, was_stopped = found.taught, found.trials, found.was_stopped
        spec = spec.model_copy(update={"hyperparameters": found.hyperparameters, "search": None})
    untaught = None
    if spec.measures_gain and not was_stopped:
        alike = replace(lesson, spec=spec)
        beside = replace(driver, report=told.note_twin, checkpoints=kept.checkpoints("twin"))
        twin = teach_from_scratch(alike, replace(beside, resumed=lambda _: None))
        was_stopped = twin.course.was_stopped
        untaught = None if was_stopped else twin.network
    step = taught.course.step
    if was_stopped:
        emit(Stopped(step=step))
    return Trained(
        assignment.model_copy(update={"spec": spec}), taught, trials, untaught, step if was_stopped else None
    )
