"""When the state of a training is kept, and how it is found again.

After evaluations, and between them every so many seconds; but never so often that it takes more than a small share of the time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from services.train.trainer.checkpoint import Checkpoint, Checkpoints
from services.train.trainer.log import say
from services.train.trainer.loop import Training

_WEIGHT_COPIES: Final = 5  # weights, their average, their best, two moments: what a checkpoint has at most
_ASSUMED_BYTES_PER_S: Final = 250e6  # written and fsynced; until the first was measured


@dataclass(frozen=True, slots=True)
class Pace:
    """How often."""

    every_s: float = 60.0
    most_share: float = 0.05  # of the time, that keeping may take


class Keeper:
    """Keeps one training."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        pace: Pace,
        *,
        learning_bytes: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`now` is a monotonic clock in seconds."""
        self._checkpoints, self._pace, self._now = checkpoints, pace, now
        self._kept_s = now()
        self._cost_s = _WEIGHT_COPIES * learning_bytes / _ASSUMED_BYTES_PER_S
        self._best_step = 0  # of the best weights that are kept

    def note(self, training: Training, *, evaluated: bool) -> None:
        """A step was taken: keep what has become of the training if it is time to."""
        since_s = self._now() - self._kept_s
        is_affordable = since_s * self._pace.most_share >= self._cost_s
        if is_affordable and (evaluated or since_s >= self._pace.every_s):
            begun_s = self._now()
            self._keep(training)
            self._kept_s = self._now()
            self._cost_s = self._kept_s - begun_s

    def _keep(self, training: Training) -> None:
        state = training.state
        parts = {"moving": state.moving, **({"best": state.best} if state.best else {})}
        unchanged = {"best"} if state.best_step == self._best_step else set()
        if self._checkpoints.save(Checkpoint(training.step, state.record, parts), unchanged=unchanged):
            self._best_step = state.best_step

    def restore(self, begin: Callable[[], Training]) -> Training:
        """Return a training that goes on from the newest state that can be used, or that begins."""
        training = begin()
        for checkpoint in self._checkpoints.read(is_final=False):
            try:
                parts = checkpoint.parts
                training.restore(checkpoint.record, dict(parts["moving"]), dict(parts.get("best", {})))
            except (LookupError, TypeError, ValueError, RuntimeError) as error:
                say(f"the checkpoint of step {checkpoint.number} cannot be gone on from: {error}")
                training = begin()
                continue
            self._best_step = checkpoint.record["best"]["step"]
            break
        return training
