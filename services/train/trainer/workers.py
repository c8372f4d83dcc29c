"""The processes that train one network together, as the loop sees them: one alone is the rule, and costs nothing.

All walk through the same steps with the same weights. Each computes the gradients of its share of a batch; their sum is that of the whole batch,
because a loss is the share of a part in the mean over its batch. What cannot be shared, the one that leads does, and tells the others. Only
that one speaks, writes and publishes; the others leave when everything is learnt.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

from torch import nn

T = TypeVar("T")


class Workers(Protocol):
    """This process's place among those that train together."""

    @property
    def leads(self) -> bool:
        """Whether this process is the one that speaks."""

    def share(self, batch: Sequence[int]) -> Sequence[int]:
        """This process's part of a batch: the parts of all are the batch. May be empty."""

    def summed(self, loss: float, parameters: Iterable[nn.Parameter]) -> float:
        """Leave the sum of all processes' gradients in everybody's parameters, and return the sum of their losses."""

    def of_leader(self, do: Callable[[], T]) -> T:
        """Return what `do` gives to the one that leads, to all; only that one does it. It must go through pickle."""

    def agreed(self, ask: Callable[[], bool]) -> bool:
        """Whether the one that leads is told yes by `ask`: the same in all processes, and some steps later than it was told."""

    def draw_apart(self, seed: int) -> None:
        """From here on torch draws other numbers in each process: what dropout drops in one share has nothing to do with another."""

    def part(self) -> None:
        """Everything is learnt: from here on nobody waits for another."""


class Alone:
    """The one process of a training that is not shared."""

    leads: Final = True

    def share(self, batch: Sequence[int]) -> Sequence[int]:
        """All of it."""
        return batch

    def summed(self, loss: float, _: Iterable[nn.Parameter]) -> float:
        """They are there already."""
        return loss

    def of_leader(self, do: Callable[[], T]) -> T:
        """Do it."""
        return do()

    def agreed(self, ask: Callable[[], bool]) -> bool:
        """Ask, and hear at once."""
        return ask()

    def draw_apart(self, seed: int) -> None:
        """There is nobody to differ from."""

    def part(self) -> None:
        """There is nobody to part from."""


ALONE: Final = Alone()
