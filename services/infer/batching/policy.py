"""Decides which waiting windows run next and which never run. Pure: `now` is an argument.

What runs next: interactive windows before bulk ones, then the model that was served least, then the window whose time is up
first (see queue). That is preference: where it would cost a deadline that can still be met, the earliest deadline runs instead,
unless the preferred window is starving.

Invariants: what cannot be answered in time, even alone, never runs; with all windows present, batches of one and one runner,
every set of deadlines that can be met is met (earliest deadline first is optimal there: Jackson 1955); the windows of a batch
have one lane, a batch of several stays within the token budget and the padding cap, and what is not decided upon goes on waiting.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Generic

from services.infer.batching.queue import STARVING_S, W, WindowQueue
from services.infer.cost import best_size

_GAINLESS: Final = 8  # windows that a batch may grow by without gaining, before it is taken to gain no more
AMPLE: Final = 10  # with so many times the waste to spare nobody else's deadline is at stake
LOOK_AHEAD: Final = 128  # deadlines that one decision adds up: bounds its time however long the queue is


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a batch of several windows; a window alone always runs."""

    batch_tokens: int  # windows x longest window: what the model computes
    padding_ratio: float  # that, divided by the windows' own tokens; at least 1


@dataclass(frozen=True, slots=True)
class Decision(Generic[W]):
    """Windows that have left the queue: `batch` to run together, by rising length, and `expired` to be answered so."""

    batch: tuple[W, ...]
    expired: tuple[W, ...]


def decide(queue: WindowQueue[W], now_s: float, *, limits: Limits, idle_runners: int) -> Decision[W]:
    """Take from the queue what to do next. Both parts are empty only if nothing waits.

    While several runners are idle (`idle_runners` >= 1 counts the one to be fed), a batch takes no more than its share of the
    tokens that could run with it, so that one call's texts spread over all of them.
    """
    queue.age(now_s)
    expired: list[W] = []
    while queue:
        seed = _seed(queue, now_s, limits, idle_runners)
        if seed.latest_start_s < now_s:
            expired += queue.remove((seed,))
            continue
        grown = _grow(queue, seed, limits, idle_runners)
        size = grown.best(now_s)
        doomed = _given_up(queue, grown, size, now_s, idle_runners)
        if doomed:
            expired += queue.remove(doomed)
            continue
        batch = grown.batch(size)
        for window in batch:
            queue.charge(window.model, grown.costs_ms[size - 1] / len(batch))
        return Decision(tuple(queue.remove(batch)), tuple(expired))
    return Decision((), tuple(expired))


def _seed(queue: WindowQueue[W], now_s: float, limits: Limits, idle_runners: int) -> W:
    preferred, earliest = queue.preferred(), queue.first_deadline
    if earliest is None:
        return preferred
    if earliest.latest_start_s < now_s:  # it is to leave before it keeps others out of batches
        return earliest
    if earliest.deadline_s >= preferred.deadline_s or preferred.arrival_s + STARVING_S <= now_s:
        return preferred
    grown = _grow(queue, preferred, limits, idle_runners)
    took_s = grown.costs_ms[grown.best(now_s) - 1] / 1000
    return earliest if 0 <= _spare_s(queue, now_s, idle_runners) < took_s else preferred


def _spare_s(queue: WindowQueue[W], now_s: float, runners: int, without: Collection[W] = ()) -> float:
    """Return how long all deadlines but those of `without` can wait and still be met in their order; below 0 if they cannot."""
    spare_s, end_s = math.inf, now_s
    for window in islice(queue.deadlines(), LOOK_AHEAD):
        takes_s = window.lane.cost.window_ms(window.tokens) / 1000 / runners
        if window not in without:
            spare_s = min(spare_s, window.latest_start_s - end_s, window.deadline_s - end_s - takes_s)
        end_s += takes_s
    return spare_s


def _given_up(
    queue: WindowQueue[W], grown: "_Grown[W]", size: int, now_s: float, idle_runners: int
) -> tuple[W, ...]:
    """Return the windows whose deadlines are not worth their price, if there are any.

    A deadline that only a small batch can keep costs time in which a better one would answer others. While these others wait,
    and are more than would be saved, the deadlines are given up: serving them at any price loses most of the throughput under
    overload (Nexus, SOSP 2019, calls that lazy dropping).
    """
    wished = best_size(grown.costs_ms, grown.tokens)
    end_s = now_s + grown.costs_ms[wished - 1] / 1000
    doomed = tuple(window for window in grown.batch(wished) if window.deadline_s < end_s)
    if size >= wished or not doomed or len(queue) - size < wished:
        return ()
    batch = grown.batch(size)
    saved = sum(window.deadline_s < end_s for window in batch)
    worth_ms = [window.lane.cost.window_ms(window.tokens) for window in batch]
    wasted_ms = grown.costs_ms[size - 1] - sum(worth_ms)
    if wasted_ms <= saved * sum(worth_ms) / size:
        return ()
    spare_s = _spare_s(queue, now_s, idle_runners, {*doomed, *batch})
    return doomed if spare_s < AMPLE * wasted_ms / 1000 else ()


@dataclass(frozen=True, slots=True)
class _Grown(Generic[W]):
    """Batches that a seed grew to, each by one window: of batch i the place in `order`, the cost, the tokens, the deadline."""

    order: Sequence[tuple[Any, ...]]
    runs: list[tuple[int, int]]
    costs_ms: list[float]
    tokens: list[int]  # without padding
    dues_s: list[float]  # the earliest in it

    def best(self, now_s: float) -> int:
        """Return the size that costs near the least for a token, of those that keep the deadlines in them."""
        kept = 1
        while kept < len(self.runs) and now_s + self.costs_ms[kept] / 1000 <= self.dues_s[kept]:
            kept += 1
        return best_size(self.costs_ms[:kept], self.tokens[:kept])

    def batch(self, size: int) -> tuple[W, ...]:
        """Return the batch of that size."""
        start, end = self.runs[size - 1]
        return tuple(entry[-1] for entry in self.order[start:end])


def _grow(queue: WindowQueue[W], seed: W, limits: Limits, idle_runners: int) -> _Grown[W]:
    """Grow a run of neighbours in length around `seed`, each step the way that pads less, until neither way fits."""
    order, start = queue.neighbours(seed)
    run_ms, padding_ratio = seed.lane.cost.run_ms, limits.padding_ratio
    budget_tokens = limits.batch_tokens
    if idle_runners > 1:
        budget_tokens = min(budget_tokens, -(-sum(each[0] for each in order) // idle_runners))
    end, real, longest, due_s = start + 1, seed.tokens, seed.tokens, seed.deadline_s
    grown: _Grown[W] = _Grown(order, [(start, end)], [run_ms(1, longest)], [real], [due_s])
    best_rate, gainless = grown.costs_ms[0] / real, 0
    while gainless < _GAINLESS:
        count = end - start + 1
        below = above = math.inf  # tokens of padding, growing either way
        if start > 0:
            shorter = order[start - 1][0]
            below = _padding(count * longest, real + shorter, budget_tokens, padding_ratio)
        if end < len(order):
            longer = order[end][0]
            above = _padding(count * longer, real + longer, budget_tokens, padding_ratio)
        if below == above == math.inf:
            break
        if below <= above:
            start -= 1
            joined = order[start]
        else:
            joined = order[end]
            end += 1
            longest = joined[0]
        real += joined[0]
        due_s = min(due_s, joined[-1].deadline_s)
        cost_ms = run_ms(count, longest)
        gainless = gainless + 1 if cost_ms / real >= best_rate else 0
        best_rate = min(best_rate, cost_ms / real)
        grown.runs.append((start, end))
        grown.costs_ms.append(cost_ms)
        grown.tokens.append(real)
        grown.dues_s.append(due_s)
    return grown


def _padding(padded: int, real: int, budget_tokens: int, padding_ratio: float) -> float:
    fits = padded <= budget_tokens and padded <= padding_ratio * real
    return padded - real if fits else math.inf
