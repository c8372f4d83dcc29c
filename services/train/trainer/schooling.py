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
from services.train.trainer.trials import TrialRunner
from services.train.trainer.workers import Workers
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


def teach_all(
    assignment: Assignment,
    lesson: Lesson,
    kept: Kept,
    emit: Emit,
    stop: StopRequest,
    workers: Workers,
    runner: TrialRunner,
) -> Trained:
    """Train all that the spec asks for, or what there is time for until training is asked to end.

    Of `workers` the one that leads keeps what they come to; `runner` is where the trials of a search are taught.
    """
    told = Telling(emit)
    driver = Driver(
        told.note,
        kept.checkpoints("checkpoints") if workers.leads else None,
        stop,
        lambda step: emit(Resumed(step=step)),
        assignment.most_windows,
        workers,
    )
    spec = assignment.spec
    trials: tuple[Trial, ...] = ()
    if spec.search is None:
        taught = lesson.teach(driver)
        was_stopped = taught.course.was_stopped
    else:
        found = find(lesson, spec.search, driver, kept, runner)
        taught, trials, was_stopped = found.taught, found.trials, found.was_stopped
        spec = spec.model_copy(update={"hyperparameters": found.hyperparameters, "search": None})
    untaught = None
    if spec.measures_gain and not was_stopped:
        alike = replace(lesson, spec=spec)
        twins = kept.checkpoints("twin") if workers.leads else None
        beside = replace(driver, report=told.note_twin, checkpoints=twins, resumed=lambda _: None)
        twin = teach_from_scratch(alike, beside, runner)
        was_stopped = twin.course.was_stopped
        untaught = None if was_stopped else twin.network
    step = taught.course.step
    if was_stopped:
        emit(Stopped(step=step))
    return Trained(
        assignment.model_copy(update={"spec": spec}), taught, trials, untaught, step if was_stopped else None
    )
