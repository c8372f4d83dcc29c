"""Gradients of a batch that may be too large for the memory: computed in parts, which are halved when one does not fit."""

from collections.abc import Sequence

import torch

from services.train.spec import Hyperparameters
from services.train.trainer.learners import Learner
from services.train.trainer.memory import lacks_memory
from services.train.trainer.optimisation import Optimisation
from services.train.trainer.workers import ALONE, Workers
from shared.errors import TrainingOutOfMemoryError


class Accumulation:
    """Computes gradients with at most `windows` examples at once; fewer, from then on, where memory was short.

    The step is the same, up to rounding and the dropout that each part draws.
    """

    def __init__(
        self,
        learner: Learner,
        chosen: Hyperparameters,
        *,
        most_windows: int | None = None,
        workers: Workers = ALONE,
    ) -> None:
        """See the class; `most_windows` holds whatever the hyperparameters say. Each of `workers` computes its share of a batch."""
        self._learner = learner
        self._workers = workers
        self._max_tokens = chosen.max_tokens
        self._most_windows = most_windows
        self.windows = self._bounded(chosen.micro_batch_size or chosen.batch_size)

    def restore(self, windows: int) -> None:
        """Go on with so many windows at once, or fewer where fewer are allowed now."""
        self.windows = self._bounded(windows)

    def gradients(self, batch: Sequence[int], optimisation: Optimisation) -> float:
        """Leave the gradients of a batch's mean loss in its parameters, and return the loss. Raises TrainingOutOfMemoryError."""
        loss = self._of_share(self._workers.share(batch), batch, optimisation)
        return self._workers.summed(loss, self._learner.module.parameters())

    def _of_share(self, share: Sequence[int], batch: Sequence[int], optimisation: Optimisation) -> float:
        while True:
            optimisation.clear()
            try:
                return sum(
                    self._of_part(share[i : i + self.windows], batch)
                    for i in range(0, len(share), self.windows)
                )
            except (RuntimeError, MemoryError) as error:
                if not lacks_memory(error):
                    raise
                if min(self.windows, len(share)) == 1:
                    raise TrainingOutOfMemoryError(
                        "Not even one window fits into the memory of the training server: lower max_tokens, or take a smaller base.",
                        max_tokens=self._max_tokens,
                    ) from error
                self.windows = min(self.windows, len(share)) // 2
            # Outside of the handler, whose traceback holds on to what was computed.
            torch.cuda.empty_cache()

    def _of_part(self, part: Sequence[int], batch: Sequence[int]) -> float:
        loss = self._learner.loss(part, batch=batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    def _bounded(self, windows: int) -> int:
        return windows if self._most_windows is None else min(windows, self._most_windows)
