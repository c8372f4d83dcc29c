"""The batches of a training, one after the other, and the place among them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from services.train.trainer.learners import Learner


class Epochs:
    """Draws the order of each epoch when the one before is over."""

    def __init__(self, learner: Learner, seed: int) -> None:
        self._learner = learner
        self._random = np.random.default_rng(seed)
        self._before_draw: Mapping[str, Any] = self._random.bit_generator.state
        self._batches: list[list[int]] = []
        self._taken = 0  # of these
        self.number = 0  # of the epoch, from 1; 0: none has begun

    def next_batch(self) -> list[int]:
        """Return the next batch, as indices of examples."""
        if self._taken == len(self._batches):
            self.number += 1
            self._draw()
        self._taken += 1
        return self._batches[self._taken - 1]

    @property
    def record(self) -> dict[str, Any]:
        """The place: what the epoch under way was drawn from, and how many batches of it were taken."""
        return {"number": self.number, "taken": self._taken, "before_draw": self._before_draw}

    def restore(self, record: Mapping[str, Any]) -> None:
        """Go on from a place. Raises ValueError where there is none such."""
        self._random.bit_generator.state = record["before_draw"]
        self.number, self._batches = record["number"], []
        if self.number:
            self._draw()
        self._taken = record["taken"]
        if not 0 <= self._taken <= len(self._batches):
            raise ValueError("the epoch has fewer batches")

    def _draw(self) -> None:
        self._before_draw = self._random.bit_generator.state
        self._batches, self._taken = self._learner.epoch(self._random), 0
