"""A moving average of the weights while they learn: cheaper than several trainings, and steadier than the last step (arXiv:1407.6980, arXiv:1803.05407).

The average is what is evaluated, kept and exported. It follows closely at first, so that weights from before anything was learnt
do not linger.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor, nn

_EVERY_STEPS: Final = 4  # a pass over all weights costs a twentieth of a small encoder's step


class Averaging:
    """The average of what learns in `module`, with `decay` a step; 0: there is none, and the weights stand for themselves."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        """See the class."""
        self._decay = decay**_EVERY_STEPS
        named = {name: each.data for name, each in module.named_parameters()} if decay else {}
        self._names: list[str] = list(named)
        self._weights: list[Tensor] = list(named.values())
        self._averages = [each.clone() for each in self._weights]
        self._steps = 0

    def count(self) -> None:
        """A step was taken."""
        self._steps += 1
        begins = self._steps < _EVERY_STEPS  # a training of a few steps has an average too
        if self._averages and (begins or self._steps % _EVERY_STEPS == 0):
            updates = self._steps if begins else self._steps // _EVERY_STEPS
            decay = min(self._decay, updates / (updates + 9))
            torch._foreach_lerp_(self._averages, self._weights, 1 - decay)

    @property
    def averages(self) -> dict[str, Tensor]:
        """The averages by the names of their weights; none where there is no averaging."""
        return dict(zip(self._names, self._averages, strict=True))

    def restore(self, averages: Mapping[str, Tensor], steps: int) -> None:
        """Go on from what `averages` was after so many steps; those that are not there are of weights that never move."""
        own = self.averages
        for name, average in averages.items():
            own[name].copy_(average)
        self._steps = steps

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the module hold the averages instead of its own weights."""
        _swap(self._weights, self._averages)
        try:
            yield
        finally:
            _swap(self._weights, self._averages)


def _swap(some: Sequence[Tensor], others: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for one, other in zip(some, others, strict=True):
            kept = one.clone()
            one.copy_(other)
            other.copy_(kept)
