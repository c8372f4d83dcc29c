"""Cost grids, lanes and windows for tests of the batching."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product

from services.infer.batching.queue import Waiting, WindowQueue
from services.infer.cost import Cell, CostGrid

COUNTS = (1, 2, 4, 8, 16, 32)
LENGTHS = (8, 16, 32, 64, 128, 256)


def per_token(ms: float = 1.0) -> CostGrid:
    """A run costs `ms` for each token, padding counted: batches gain nothing."""
    return CostGrid([Cell(1, 1, ms)])


def per_run(ms: float) -> CostGrid:
    """A run costs `ms`, whatever is in it (up to 1024 windows of 1024 tokens)."""
    return CostGrid(Cell(count, tokens, ms) for count, tokens in product((1, 1024), (1, 1024)))


def like_minilm(batch_tokens: int = 512) -> CostGrid:
    """As a small encoder on one core: some time for each run, more for each token, and more again beyond the caches."""
    return CostGrid(
        Cell(count, tokens, 1.2 + 0.17 * count * tokens + 2e-5 * (count * tokens) ** 2)
        for count, tokens in product(COUNTS, LENGTHS)
        if count == 1 or count * tokens <= batch_tokens
    )


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """Something to run on."""

    cost: CostGrid


@dataclass(slots=True, eq=False)
class Window(Waiting):
    """A window that remembers what became of it."""

    fates: list[str] = field(default_factory=list)


LANE = Lane(per_token())


def window(
    tokens: int = 8,
    *,
    lane: Lane = LANE,
    model: str = "banking",
    arrival_s: float = 0.0,
    deadline_s: float = math.inf,
    is_bulk: bool = False,
) -> Window:
    """One that may wait for ever, unless told otherwise."""
    return Window(lane, model, tokens, arrival_s, deadline_s, is_bulk)


def queue_of(windows: Iterable[Window]) -> WindowQueue[Window]:
    """A queue in which they wait."""
    queue: WindowQueue[Window] = WindowQueue()
    for each in windows:
        queue.add(each)
    return queue


def dear_runs(batch_tokens: int = 512) -> CostGrid:
    """As where starting a run costs more than most of what is in it, so that batches gain much."""
    return CostGrid(
        Cell(count, tokens, 8.0 + 0.02 * count * tokens)
        for count, tokens in product(COUNTS, LENGTHS)
        if count == 1 or count * tokens <= batch_tokens
    )
