"""The training loop, for every recipe: a training that takes one step after the other and does no I/O.

It evaluates about once an epoch, ends when the task metric has not improved for `patience` evaluations, and leaves the best
weights, or averages of them, in the learner. Among equal metrics the lower validation loss is best: small validation sets tie often. The driver
decides what becomes of the events, and when the state between two steps is kept: a training that is restored to it takes, bit for bit, the
steps that the first one would have taken.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from services.train.events import Progress
from services.train.spec import Hyperparameters
from services.train.trainer.accumulation import Accumulation
from services.train.trainer.averaging import Averaging
from services.train.trainer.best import Best
from services.train.trainer.epochs import Epochs
from services.train.trainer.learners import Learner
from services.train.trainer.meter import Meter
from services.train.trainer.optimisation import Optimisation
from services.train.trainer.workers import ALONE, Workers
from shared.store.evaluation import CurvePoint

FEWEST_STEPS_BETWEEN_EVALUATIONS: Final = 20  # an epoch of a tiny dataset tells nothing new

Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """All that the next step depends on, but for what the same spec makes again. Tensors are the training's own, not copies."""

    record: dict[str, Any]  # goes through JSON
    moving: Tensors  # weights, averages, the optimiser's moments, the generators: other ones after every step
    best: Tensors  # other ones after an evaluation that was the best
    best_step: int  # of that evaluation


class Training:
    """A training between two of its steps."""

    def __init__(
        self,
        learner: Learner,
        hyperparameters: Hyperparameters,
        *,
        seed: int,
        now: Callable[[], float],
        most_windows: int | None = None,
        workers: Workers = ALONE,
    ) -> None:
        """`now` is a monotonic clock in seconds; `most_windows` is Accumulation's. All of `workers` go through the same training, step by step."""
        self._learner = learner
        self._workers = workers
        self._patience = hyperparameters.patience
        self._total_steps = hyperparameters.max_epochs * learner.steps_per_epoch
        self._interval = evaluation_interval(learner.steps_per_epoch)
        groups = learner.groups(self._total_steps)
        learning = {id(each) for group in groups for each in group.parameters}
        named = learner.module.named_parameters()
        self._weights: Tensors = {name: each.data for name, each in named if id(each) in learning}
        self._optimisation = Optimisation(groups, hyperparameters, self._total_steps)
        self._averaging = Averaging(learner.module, hyperparameters.averaging_decay)
        self._accumulation = Accumulation(
            learner, hyperparameters, most_windows=most_windows, workers=workers
        )
        self._meter = Meter(learner.metric_name, self._total_steps, now)
        self._epochs = Epochs(learner, seed)
        self._best = Best()
        self.step = 0  # that was taken last
        self.curve: list[CurvePoint] = []  # of the evaluations

    @property
    def has_ended(self) -> bool:
        """No step is left to take."""
        return self.step >= self._total_steps or self._best.without_better >= self._patience

    def advance(self) -> Progress | None:
        """Take a step, and evaluate where it is time to. Raises TrainingDivergedError, TrainingOutOfMemoryError."""
        batch = self._epochs.next_batch()
        self.step += 1
        self._learner.module.train()
        loss = self._accumulation.gradients(batch, self._optimisation)
        self._optimisation.step(loss, self.step)
        self._averaging.count()
        self._meter.count(loss, len(batch))
        if self.step % self._interval == 0 or self.step == self._total_steps:
            return self._evaluate()
        return self._meter.report(self.step, self._epochs.number) if self._meter.is_due() else None

    def settle(self) -> Progress | None:
        """Have something that is the best so far: evaluate, after a step at least, where nothing was."""
        return None if self._best.step else self._evaluate()

    def leave_best(self) -> None:
        """Put the best weights into the learner."""
        _copy(self._best.weights, self._weights)

    @property
    def state(self) -> State:
        """The present state."""
        averages = self._averaging.averages
        parts = {
            "weights": self._weights,
            "averages": {name: averages[name] for name in self._weights if name in averages},
            "moments": self._optimisation.moments,
            "generators": _generators(),
        }
        record = {
            "step": self.step,
            "epochs": self._epochs.record,
            "best": self._best.record,
            "meter": self._meter.record,
            "curve": [point.model_dump() for point in self.curve],
            "windows": self._accumulation.windows,
        }
        moving = {f"{part}/{name}": each for part, tensors in parts.items() for name, each in tensors.items()}
        return State(record, moving, self._best.weights, self._best.step)

    @property
    def learning_bytes(self) -> int:
        """The size of the weights that learn."""
        return sum(each.nbytes for each in self._weights.values())

    def restore(self, record: Mapping[str, Any], moving: Tensors, best: Tensors) -> None:
        """Become what a training alike was in a state, before any step.

        Raises ValueError, TypeError, LookupError or RuntimeError for a state of another one; then this one is of no use any more, and its
        learner is as it was.
        """
        parts: dict[str, Tensors] = {"weights": {}, "averages": {}, "moments": {}, "generators": {}}
        for name, tensor in moving.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = tensor
        averages = self._averaging.averages
        expected = [parts["weights"], *([best] if best else []), *([parts["averages"]] if averages else [])]
        if any(_shapes(each) != _shapes(self._weights) for each in expected):
            raise ValueError("the weights are of another network")
        if bool(best) != bool(record["best"]["step"]):
            raise ValueError("the best weights are missing")
        self.curve = [CurvePoint.model_validate(point) for point in record["curve"]]
        self._epochs.restore(record["epochs"])
        self._meter.restore(record["meter"])
        self._accumulation.restore(record["windows"])
        self._best.restore(record["best"], best)
        self.step = record["step"]
        self._optimisation.restore(parts["moments"], self.step)
        self._averaging.restore(parts["averages"], self.step)
        _set_generators(parts["generators"])  # nothing may draw from here on
        _copy(parts["weights"], self._weights)

    def _evaluate(self) -> Progress:
        with self._averaging.applied():
            evaluation = self._workers.of_leader(self._learner.evaluate)
            every_layer_learns = self.step > self._optimisation.last_begin
            self._best.consider(evaluation, self._weights, self.step, counts=every_layer_learns)
        progress = self._meter.report(self.step, self._epochs.number, evaluation, self._best.evaluation)
        loss = progress.interval_loss or 0.0
        self.curve.append(CurvePoint(step=self.step, train_loss=loss, metric=evaluation.metric))
        return progress


def fit(
    learner: Learner, hyperparameters: Hyperparameters, *, seed: int, now: Callable[[], float]
) -> Iterator[Progress]:
    """Teach `learner` to the end. Who stops listening leaves it with the weights of the last step. Raises as `Training.advance` does."""
    training = Training(learner, hyperparameters, seed=seed, now=now)
    while not training.has_ended:
        if (progress := training.advance()) is not None:
            yield progress
    training.leave_best()


def evaluation_interval(steps_per_epoch: int) -> int:
    """Return how many steps there are from one look at validation to the next."""
    return max(steps_per_epoch, FEWEST_STEPS_BETWEEN_EVALUATIONS)


def _copy(source: Tensors, target: Tensors) -> None:
    for name, tensor in source.items():
        target[name].copy_(tensor)


def _shapes(tensors: Tensors) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def _generators() -> Tensors:
    """What dropout is drawn from."""
    drawn = {"cpu": torch.get_rng_state()}
    return drawn | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def _set_generators(states: Tensors) -> None:
    torch.set_rng_state(states["cpu"].clone())
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"].clone())
