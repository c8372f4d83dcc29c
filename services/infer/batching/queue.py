"""The windows that wait, in the orders in which decisions ask for them. Pure: it knows no clock, `now` is an argument.

Each order is a sorted list, so that adding and taking away cost a binary search however long the queue is. Within a model the
window comes first whose time is up first: its deadline, or its arrival plus PATIENCE_S if that is sooner, so that what has no
deadline does not wait for ever behind what has one. A bulk window that has waited for BULK_PATIENCE_S counts as interactive.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from services.infer.cost import CostGrid

PATIENCE_S: Final = 1.0
BULK_PATIENCE_S: Final = 5.0
STARVING_S: Final = 5.0  # so old a window yields to no deadline any more


class Lane(Protocol):
    """What windows run on; only windows of the same (identical) lane share a batch."""

    @property
    def cost(self) -> CostGrid:
        """How long its runs take."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A window in the queue; subclasses add what their owner needs. Times are on the clock of `now`."""

    lane: Lane
    model: str  # whose share of the time it takes
    tokens: int  # its length, special tokens counted; at least 1
    arrival_s: float
    deadline_s: float  # when its caller stops waiting; infinity for never
    is_bulk: bool  # interactive windows go first
    place: int = field(init=False, default=-1)  # in the order of arrival; -1 while it is in no queue

    @property
    def latest_start_s(self) -> float:
        """From then on it cannot be answered in time, even alone."""
        return self.deadline_s - self.lane.cost.run_ms(1, self.tokens) / 1000


W = TypeVar("W", bound=Waiting)
# Sorted; of each entry the last part is the window, and no two are equal before it.
_Order = list[tuple[Any, ...]]


class WindowQueue(Generic[W]):
    """What waits, and what each model with something waiting has been served."""

    def __init__(self) -> None:
        self.tokens = 0
        self._arrivals = 0
        self._lengths: dict[tuple[Lane, bool], _Order] = {}
        self._models: dict[tuple[str, bool], _Order] = {}
        self._deadlines: _Order = []
        self._aging: _Order = []
        self._served_ms: dict[str, float] = {}
        self._level_ms = 0.0  # of the model that was served last, before it was
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, window: W) -> None:
        """Let a window wait. A model that had nothing waiting begins where the one that was served last began: idle time is no credit."""
        if not any((window.model, is_bulk) in self._models for is_bulk in (False, True)):
            self._served_ms[window.model] = max(self._served_ms.get(window.model, 0.0), self._level_ms)
        window.place = self._arrivals
        self._arrivals += 1
        self._count += 1
        self.tokens += window.tokens
        self._enter(window)
        if window.deadline_s != math.inf:
            insort(self._deadlines, (window.deadline_s, window.place, window))
        if window.is_bulk:
            self._aging.append((window.arrival_s, window.place, window))

    def remove(self, windows: Iterable[W]) -> list[W]:
        """Take out those of `windows` that wait here, and return them."""
        mine = [window for window in windows if window.place >= 0]
        for window in mine:
            self._leave(window)
            if window.deadline_s != math.inf:
                _take(self._deadlines, (window.deadline_s, window.place))
            if window.is_bulk:
                _take(self._aging, (window.arrival_s, window.place))
            window.place = -1
            self._count -= 1
            self.tokens -= window.tokens
        if not self._count:
            self._served_ms.clear()
            self._level_ms = 0.0
        return mine

    def charge(self, model: str, ms: float) -> None:
        """Note that a model was served."""
        served_ms = self._served_ms.get(model, 0.0)
        self._level_ms = max(self._level_ms, served_ms)
        self._served_ms[model] = served_ms + ms

    def age(self, now_s: float) -> None:
        """Let bulk windows whose patience is at its end count as interactive."""
        while self._aging and self._aging[0][0] + BULK_PATIENCE_S <= now_s:
            window: W = self._aging.pop(0)[-1]
            self._leave(window)
            window.is_bulk = False
            self._enter(window)

    def preferred(self) -> W:
        """Return the window that runs next where no deadline is at stake; one waits at least."""
        interactive = [model for model, is_bulk in self._models if not is_bulk]
        models = interactive or [model for model, _ in self._models]
        model = min(models, key=self._served_ms.__getitem__)  # of equals the one that has waited longest
        window: W = self._models[model, not interactive][0][-1]
        return window

    @property
    def first_deadline(self) -> W | None:
        """The window with the earliest deadline."""
        return self._deadlines[0][-1] if self._deadlines else None

    def deadlines(self) -> Iterator[W]:
        """Yield the windows that have one, the earliest first."""
        return (window for *_, window in self._deadlines)

    def neighbours(self, window: W) -> tuple[Sequence[tuple[Any, ...]], int]:
        """Return the windows that may share a batch with `window`, (tokens, place, window) by rising length, and where it stands."""
        order = self._lengths[window.lane, window.is_bulk]
        return order, bisect_left(order, (window.tokens, window.place))

    def _enter(self, window: W) -> None:
        due_s = min(window.deadline_s, window.arrival_s + PATIENCE_S)
        lengths = self._lengths.setdefault((window.lane, window.is_bulk), [])
        insort(lengths, (window.tokens, window.place, window))
        of_model = self._models.setdefault((window.model, window.is_bulk), [])
        insort(of_model, (due_s, window.deadline_s, window.place, window))

    def _leave(self, window: W) -> None:
        lane, model = (window.lane, window.is_bulk), (window.model, window.is_bulk)
        due_s = min(window.deadline_s, window.arrival_s + PATIENCE_S)
        _take(self._lengths[lane], (window.tokens, window.place))
        _take(self._models[model], (due_s, window.deadline_s, window.place))
        if not self._lengths[lane]:
            del self._lengths[lane]
        if not self._models[model]:
            del self._models[model]


def _take(order: _Order, key: tuple[float, ...]) -> None:
    del order[bisect_left(order, key)]  # a key sorts before the entry that begins with it
