"""What batches run on: the trunk of one or more versions in memory, with its measured costs.

Invariant: versions whose models have the identical trunk have the identical lane, so that their windows share batches.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

from services.infer.cost import CostGrid
from shared.runtime.model import Model, Together
from shared.runtime.session import GraphSession
from shared.runtime.windows import Window


class HasModel(Protocol):
    """A version in memory."""

    @property
    def model(self) -> Model:
        """What answers."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Lane:
    """A trunk and how long its runs take."""

    cost: CostGrid

    def begin(self, works: Sequence[tuple[Window, Sequence[HasModel]]]) -> Together:
        """Make a batch ready to be computed."""
        return Together([(window, [reader.model for reader in readers]) for window, readers in works])


class Lanes:
    """The lanes of the trunks in memory; a lane goes with its trunk. One thread at a time."""

    def __init__(self, measure: Callable[[Model], CostGrid]) -> None:
        """`measure` tells the costs of a trunk that is new here, by a model that stands on it."""
        self._measure = measure
        self._of_trunk: WeakKeyDictionary[GraphSession, Lane] = WeakKeyDictionary()

    def lane(self, model: Model) -> Lane:
        """Return the lane of a model."""
        lane = self._of_trunk.get(model.trunk)
        if lane is None:
            lane = self._of_trunk[model.trunk] = Lane(self._measure(model))
        return lane
