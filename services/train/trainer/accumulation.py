"""Gradients of a batch that may be too large for the memory: computed in parts, which are halved when one does not fit."""

from collections.abc import Sequence

import torch

from services.train.spec import Hyperparameters
from services.train.trainer.learners import Learner
from services.train.trainer.optimisation import Optimisation
from services.train.trainer.workers import Workers
from shared.errors import TrainingOutOfMemoryError


class Accumulation:
    """Computes gradients with at most `windows` examples at once; fewer, from then on, where memory was short.

    The step is the same, up to rounding and the dropout that each part draws.
    """

    def __init__(self, learner: Learner, chosen: Hyperparameters, workers: Workers) -> None:
        """See the class. Each of `workers` computes its share."""
        self._learner = learner
        self._workers = workers
        self._max_tokens = chosen.max_tokens
        self.windows = chosen.micro_batch_size or chosen.batch_size

    def gradients(self, batch: Sequence[int], optimisation: Optimisation) -> float:
        """Leave the gradients of a batch's mean loss in its parameters, and return the loss. Raises TrainingOutOfMemoryError."""
        share = self._workers.share(batch)
        return self._workers.summed(
            self._of_share(share, batch, optimisation), self._learner.module.parameters()
        )

    def _of_share(self, share: Sequence[int], batch: Sequence[int], optimisation: Optimisation) -> float:
        while True:
            optimisation.clear()
            try:
                return sum(
                    self._of_part(share[i : i + self.windows], batch)
                    for i in range(0, len(share), self.windows)
                )
            except RuntimeError as error:
                if not _lacks_memory(error):
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


def _lacks_memory(error: Exception) -> bool:
    """The CPU's allocator has no error class of its own."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
