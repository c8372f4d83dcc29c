"""What drives a training from step to step: tells how far it is, keeps its state, ends it when it is asked to."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from services.train.events import Progress
from services.train.spec import Hyperparameters
from services.train.trainer.checkpoint import Checkpoints
from services.train.trainer.keeping import Keeper, Pace
from services.train.trainer.learners import Learner
from services.train.trainer.loop import State, Training
from services.train.trainer.workers import ALONE, Workers
from shared.store.evaluation import CurvePoint

PACE = Pace()

Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Course:
    """How a training went."""

    curve: tuple[CurvePoint, ...]  # its looks at validation
    step: int  # that was its last
    was_stopped: bool  # it was asked to end before its end


@dataclass(frozen=True, slots=True)
class Driver:
    """Drives trainings, one at a time."""

    report: Report
    checkpoints: Checkpoints | None = None  # None: nothing is kept
    stop_asked: Callable[[], bool] = lambda: False  # called after every step
    resumed: Callable[[int], None] = lambda _: None  # hears the step from which a training goes on
    most_windows: int | None = None  # see Accumulation
    workers: Workers = ALONE  # that train together; what is kept, the one that leads keeps

    def drive(self, learner: Learner, chosen: Hyperparameters, *, seed: int) -> Course:
        """Teach `learner`, from where an earlier attempt has come to. Raises as Training.advance does."""
        begin = partial(
            Training,
            learner,
            chosen,
            seed=seed,
            now=time.monotonic,
            most_windows=self.most_windows,
            workers=self.workers,
        )
        training, keeper = begin(), None
        if self.checkpoints is not None:
            keeper = Keeper(self.checkpoints, PACE, learning_bytes=training.learning_bytes)
            training = keeper.restore(begin)
            if training.step:
                self.resumed(training.step)
        self._go_on_together(training, seed)
        was_stopped = False
        while not training.has_ended and not was_stopped:
            progress = training.advance()
            was_stopped = self.workers.agreed(self.stop_asked) and not training.has_ended
            if was_stopped:
                progress = training.settle() or progress
            if progress is not None:
                self.report(progress)
            if keeper is not None and not training.has_ended and not was_stopped:
                keeper.note(training, evaluated=progress is not None and progress.evaluated)
        training.leave_best()
        return Course(tuple(training.curve), training.step, was_stopped)

    def _go_on_together(self, training: Training, seed: int) -> None:
        """Bring all workers to where the one that leads goes on."""
        state = self.workers.of_leader(lambda: _on_processor(training.state) if training.step else None)
        if state is not None and not self.workers.leads:
            training.restore(state.record, state.moving, state.best)
        self.workers.draw_apart(seed + training.step)


def _on_processor(state: State) -> State:
    """The state for others, which may have other devices."""
    moving = {name: each.cpu() for name, each in state.moving.items()}
    return replace(state, moving=moving, best={name: each.cpu() for name, each in state.best.items()})
