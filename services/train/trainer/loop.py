"""The training loop, for every recipe: a generator of progress that does no I/O.

Steps, evaluates about once an epoch, stops when the task metric has not improved for `patience` evaluations, and leaves the best
weights, or averages of them, in the learner. Among equal metrics the lower validation loss is best: small validation sets tie often. The driver
decides what becomes of the events; it may stop listening at any time, and then the weights are those of the last step.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from services.train.events import Progress
from services.train.spec import Hyperparameters
from services.train.trainer.accumulation import Accumulation
from services.train.trainer.averaging import Averaging
from services.train.trainer.learners import Learner
from services.train.trainer.optimisation import Optimisation
from services.train.trainer.validation import Evaluation
from services.train.trainer.workers import ALONE, Workers

FEWEST_STEPS_BETWEEN_EVALUATIONS = 20  # an epoch of a tiny dataset tells nothing new
REPORT_INTERVAL_S = 0.25


@dataclass(slots=True)
class _Best:
    """The best weights so far."""

    evaluation: Evaluation | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    without_better: int = 0  # evaluations since the metric rose

    def consider(self, evaluation: Evaluation, learner: Learner, *, counts: bool) -> None:
        """Keep the learner's weights if they are better; else it `counts`, or not, as one without."""
        best = self.evaluation
        rose = best is None or evaluation.metric > best.metric
        self.without_better = 0 if rose else self.without_better + counts
        if best is None or (evaluation.metric, -evaluation.loss) > (best.metric, -best.loss):
            self.evaluation = evaluation
            self.weights = copy.deepcopy(learner.module.state_dict())


def fit(
    learner: Learner,
    hyperparameters: Hyperparameters,
    *,
    seed: int,
    now: Callable[[], float],
    workers: Workers = ALONE,
) -> Iterator[Progress]:
    """Teach `learner`, here and in all other `workers`. `now` is a monotonic clock in seconds. Raises TrainingDivergedError, TrainingOutOfMemoryError."""
    total_steps = hyperparameters.max_epochs * learner.steps_per_epoch
    interval = evaluation_interval(learner.steps_per_epoch)
    optimisation = Optimisation(learner.groups(total_steps), hyperparameters, total_steps)
    averaging = Averaging(learner.module, hyperparameters.averaging_decay)
    accumulation = Accumulation(learner, hyperparameters, workers)
    meter = _Meter(learner.metric_name, total_steps, now)
    best, random, step = _Best(), np.random.default_rng(seed), 0
    workers.draw_apart(seed)
    for epoch in range(1, hyperparameters.max_epochs + 1):
        for batch in learner.epoch(random):
            step += 1
            learner.module.train()
            loss = accumulation.gradients(batch, optimisation)
            optimisation.step(loss, step)
            averaging.count()
            meter.count(loss, len(batch))
            if step % interval == 0 or step == total_steps:
                with averaging.applied():
                    evaluation = workers.of_leader(learner.evaluate)
                    best.consider(evaluation, learner, counts=step > optimisation.last_begin)
                yield meter.report(step, epoch, evaluation, best.evaluation)
            elif meter.due():
                yield meter.report(step, epoch)
            if best.without_better >= hyperparameters.patience:
                learner.module.load_state_dict(best.weights)
                return
    learner.module.load_state_dict(best.weights)


def evaluation_interval(steps_per_epoch: int) -> int:
    """Return how many steps there are from one look at validation to the next."""
    return max(steps_per_epoch, FEWEST_STEPS_BETWEEN_EVALUATIONS)


class _Meter:
    """Losses and rates between reports."""

    def __init__(self, metric_name: str, total_steps: int, now: Callable[[], float]) -> None:
        self._metric_name, self._total_steps, self._now = metric_name, total_steps, now
        self._start_s = self._reported_s = now()
        self._losses: list[float] = []  # since the report before
        self._interval_losses: list[float] = []  # since the evaluation before
        self._rows = 0
        self._metric: float | None = None
        self._best: float | None = None

    def count(self, loss: float, rows: int) -> None:
        self._losses.append(loss)
        self._interval_losses.append(loss)
        self._rows += rows

    def due(self) -> bool:
        return self._now() - self._reported_s >= REPORT_INTERVAL_S

    def report(
        self, step: int, epoch: int, evaluation: Evaluation | None = None, best: Evaluation | None = None
    ) -> Progress:
        if evaluation is not None and best is not None:
            self._metric, self._best = evaluation.metric, best.metric
        elapsed_s = max(self._now() - self._start_s, 1e-9)
        progress = Progress(
            step=step,
            total_steps=self._total_steps,
            epoch=epoch,
            loss=_mean(self._losses),
            metric_name=self._metric_name,
            metric=self._metric,
            best_metric=self._best,
            remaining_ms=int(1000 * elapsed_s / step * (self._total_steps - step)),
            rows_per_second=self._rows / elapsed_s,
            evaluated=evaluation is not None,
            interval_loss=_mean(self._interval_losses) if evaluation is not None else None,
        )
        self._reported_s = self._now()
        self._losses.clear()
        if evaluation is not None:
            self._interval_losses.clear()
        return progress


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
