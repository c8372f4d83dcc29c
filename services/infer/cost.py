"""How long model runs take, from cells that were measured on this hardware. Pure.

A cell is a run of some windows of `tokens` tokens each. Between cells time is interpolated in both directions, beyond them it
grows with the tokens. Noise is taken out first: a run never takes less time than a smaller one.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Final, NamedTuple, TypeVar

K = TypeVar("K")

_TYPICAL_RUNS: Final = ((1, 16), (8, 24), (2, 128))  # a lone text, short ones together, long ones
_Column = list[tuple[int, float]]  # of one length: windows and milliseconds, both rising
_NEAR_BEST: Final = (
    1.02  # batches that cost so little more a token are taken for as good: measurements differ by more
)


class Cell(NamedTuple):
    """One measurement."""

    windows: int
    tokens: int  # of each window, padding counted
    ms: float


class CostGrid:
    """Predicts the time of a run. Made from one or more cells, all above 0."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self.cells = tuple(sorted(cells, key=lambda cell: (cell.tokens, cell.windows)))
        columns: dict[int, list[Cell]] = defaultdict(list)
        for cell in self.cells:
            columns[cell.tokens].append(cell)
        self._lengths = sorted(columns)
        self._columns: list[_Column] = []
        for length in self._lengths:
            self._columns.append(_rising(columns[length], self._columns[-1] if self._columns else None))
        self.token_ms = min(cell.ms / (cell.windows * cell.tokens) for cell in self.cells)
        self._known: dict[tuple[int, int], float] = {}
        self._best: dict[int, float] = {}

    def run_ms(self, count: int, tokens: int) -> float:
        """Return the milliseconds of a run of `count` windows padded to `tokens` each; both at least 1."""
        key = count, tokens
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._predicted(count, tokens)
        return known

    def window_ms(self, tokens: int) -> float:
        """Return what a window of `tokens` costs at the least: its share of the batch that suits its length best."""
        best = self._best.get(tokens)
        if best is None:
            counts = {count for column in self._columns for count, _ in column}
            best = self._best[tokens] = min(self.run_ms(count, tokens) / count for count in counts)
        return best

    def _predicted(self, count: int, tokens: int) -> float:
        place = bisect_left(self._lengths, tokens)
        if place == len(self._lengths):
            longest = self._lengths[-1]
            return _in_column(self._columns[-1], count) * tokens / longest
        above = _in_column(self._columns[place], count)
        if place == 0:
            return above
        low, high = self._lengths[place - 1], self._lengths[place]
        below = min(_in_column(self._columns[place - 1], count), above)
        return below + (above - below) * (tokens - low) / (high - low)


def faster(grids: Mapping[K, CostGrid], than: K) -> list[K]:
    """Return those whose runs take less time than those of `than`, the fastest first; typical runs count the same."""
    speeds = {
        key: sum(math.log(grid.run_ms(count, tokens)) for count, tokens in _TYPICAL_RUNS)
        for key, grid in grids.items()
    }
    return sorted((key for key in speeds if speeds[key] < speeds[than]), key=speeds.__getitem__)


def best_size(costs_ms: Iterable[float], tokens: Iterable[int]) -> int:
    """Choose how many windows of a growing batch to take: the fewest whose cost for a token is near the best.

    `costs_ms[i]` and `tokens[i]` are of the batch of its first i + 1 windows, tokens without padding. At least 1.
    """
    rates = [cost_ms / real for cost_ms, real in zip(costs_ms, tokens, strict=True)]
    enough = min(rates) * _NEAR_BEST
    return next(size for size, rate in enumerate(rates, start=1) if rate <= enough)


def _rising(cells: list[Cell], shorter: _Column | None) -> _Column:
    least_ms = [_in_column(shorter, cell.windows) if shorter else 0.0 for cell in cells]
    times_ms = accumulate((max(cell.ms, least) for cell, least in zip(cells, least_ms, strict=True)), max)
    return [(cell.windows, ms) for cell, ms in zip(cells, times_ms, strict=True)]


def _in_column(column: _Column, count: int) -> float:
    place = bisect_left(column, (count, 0.0))
    if place == len(column):
        most, ms = column[-1]
        return ms * count / most
    high, above = column[place]
    if place == 0 or high == count:
        return above * (1.0 if high == count else count / high)
    low, below = column[place - 1]
    return below + (above - below) * (count - low) / (high - low)
