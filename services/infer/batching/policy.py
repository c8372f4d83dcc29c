"""Decides which waiting windows run next and which never run. Pure: `now` is an argument, nothing is kept between calls.

Invariants: what has expired never runs; the oldest live window is always in the next batch, so nothing starves; the windows
of a batch have one lane, a batch of several stays within the token budget and the padding cap, and what is not decided upon
goes on waiting.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final, Generic, Protocol, TypeVar

LOOK_AHEAD: Final = 1024  # windows that one decision looks at: bounds its time (under a millisecond) however long the queue is


class Waiting(Protocol):
    """A window in the queue."""

    @property
    def lane(self) -> object:
        """What it runs on; only windows of the same (identical) lane share a batch."""

    @property
    def tokens(self) -> int:
        """Its length, special tokens counted; at least 1."""

    @property
    def deadline_s(self) -> float:
        """When its caller stops waiting, on the clock of `now`; infinity for never."""


W = TypeVar("W", bound=Waiting)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a batch of several windows; a window alone always runs."""

    batch_tokens: int  # windows x longest window: what the model computes
    padding_ratio: float  # that, divided by the windows' own tokens; at least 1


@dataclass(frozen=True, slots=True)
class Decision(Generic[W]):
    """Windows that leave the queue: `batch` to run together, by rising length, and `expired` to be answered so."""

    batch: tuple[W, ...]
    expired: tuple[W, ...]


def decide(waiting: Iterable[W], now_s: float, *, limits: Limits, idle_runners: int) -> Decision[W]:
    """Choose from `waiting`, given in order of arrival. Both parts are empty only if nothing waits.

    While several runners are idle (`idle_runners` >= 1 counts the one to be fed), a batch takes no more than its share of the
    tokens that could run, so that one call's texts spread over all of them.
    """
    ahead = tuple(islice(waiting, LOOK_AHEAD))
    expired = tuple(window for window in ahead if window.deadline_s <= now_s)
    live = [window for window in ahead if window.deadline_s > now_s]
    if not live:
        return Decision((), expired)
    mates = sorted((window for window in live if window.lane is live[0].lane), key=lambda mate: mate.tokens)
    share_tokens = -(-sum(mate.tokens for mate in mates) // idle_runners)
    return Decision(_grow(mates, live[0], limits, min(limits.batch_tokens, share_tokens)), expired)


def _grow(mates: list[W], oldest: W, limits: Limits, budget_tokens: int) -> tuple[W, ...]:
    """Grow a run of neighbours in length around `oldest`, each step the way that pads less, until neither way fits."""
    start = next(place for place, mate in enumerate(mates) if mate is oldest)
    end, real = start + 1, oldest.tokens
    while True:
        choices = []
        for place in (start - 1, end):
            if 0 <= place < len(mates):
                grown = real + mates[place].tokens
                padded = (end - start + 1) * max(mates[end - 1].tokens, mates[place].tokens)
                if padded <= budget_tokens and padded <= limits.padding_ratio * grown:
                    choices.append((padded - grown, place))
        if not choices:
            return tuple(mates[start:end])
        _, place = min(choices)
        real += mates[place].tokens
        start, end = min(start, place), max(end, place + 1)
