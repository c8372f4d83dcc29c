"""How fast a loaded version runs, and which ways to run it are the fastest."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.windows import Window

Cell = tuple[int, int]  # windows of a batch, tokens of each

CELLS: Final[tuple[Cell, ...]] = ((1, 16), (8, 24), (2, 128))  # a lone text, short ones together, long ones
_ROUNDS: Final = 4  # the first run of a shape may have to prepare for it


def run_ms(model: Model, cells: Sequence[Cell]) -> list[float]:
    """Return for each cell the milliseconds of one run, the best of a few.

    The cells take turns, as batches do in service: OpenVINO takes a millisecond or so whenever the shape is not the one before.
    """
    (text,) = model.encode(["a " * max(tokens for _, tokens in cells)])
    longest = text.windows[0].token_ids
    batches = [[Window(longest[:tokens], 0, 0, 0)] * count for count, tokens in cells]
    rounds = [[_timed_ms(model, batch) for batch in batches] for _ in range(_ROUNDS)]
    return [min(times) for times in zip(*rounds, strict=True)]


def faster(grids: Mapping[Execution, Sequence[float]], than: Execution) -> list[Execution]:
    """Return the executions that beat one of them over the same cells, the fastest first; every cell counts the same. Pure."""
    means = {execution: float(np.log(grid).mean()) for execution, grid in grids.items()}
    return sorted((each for each in means if means[each] < means[than]), key=means.__getitem__)


def _timed_ms(model: Model, batch: Sequence[Window]) -> float:
    started = time.perf_counter()
    model.run(batch)
    return 1000 * (time.perf_counter() - started)
