"""Measures how long runs take on this hardware, once for graphs of one kind: the result is kept in a folder, by what it depends on.

Blocking; runs in the loading thread. Cells are measured with as many runs at once as there will be under load.
"""

import hashlib
import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from annotated_types import Len
from pydantic import AllowInfNan, PositiveFloat, PositiveInt, TypeAdapter

from services.infer.cost import Cell, CostGrid
from shared.processor import processor_name
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.session import speed_kind
from shared.runtime.windows import Window
from shared.store.manifest import Manifest
from shared.telemetry.logs import get_logger

_log = get_logger()

_TEXT: Final = "warm "
_COUNTS: Final = (1, 2, 4, 8, 16, 32)
_LENGTHS: Final = (8, 16, 32, 64, 128, 256)
_CELLS: Final = TypeAdapter(
    Annotated[
        list[tuple[PositiveInt, PositiveInt, Annotated[PositiveFloat, AllowInfNan(False)]]], Len(min_length=1)
    ]
)
# Over all cells, of which the best counts: the first run of a size costs more than the later ones.
_PASSES: Final = 3


@dataclass(frozen=True, slots=True)
class Measuring:
    """Tells the costs of trunks."""

    folder: Path  # of what was measured before; made if absent
    runs_at_once: int
    batch_tokens: int  # the largest batch that will be asked for, if of several windows

    def known(self, manifest: Manifest, execution: Execution) -> CostGrid | None:
        """Return what was measured of such a trunk on such a processor, if it was."""
        cells = _read(self._path(manifest, execution))
        return CostGrid(cells) if cells else None

    def costs(self, model: Model) -> CostGrid:
        """Return what is known of the model's trunk, or measure it now."""
        known = self.known(model.manifest, model.execution)
        if known is None:
            started_s = time.monotonic()
            cells = self._measured(model)
            _write(self._path(model.manifest, model.execution), cells)
            seconds = round(time.monotonic() - started_s, 3)
            _log.info("costs_measured", variant=model.execution.precision, cells=len(cells), seconds=seconds)
            return CostGrid(cells)
        return known

    def _path(self, manifest: Manifest, execution: Execution) -> Path:
        kind = speed_kind(manifest.variants[execution.variant].trunk, execution)
        longest = manifest.tokenization.max_tokens
        depends_on = [kind, longest, processor_name(), self.runs_at_once, self.batch_tokens]
        return self.folder / f"{hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:32]}.json"

    def _measured(self, model: Model) -> list[Cell]:
        longest = model.manifest.tokenization.max_tokens
        window = model.encode([_TEXT * longest])[0].windows[0]
        sizes = list(self._grid(longest))
        best_ms = dict.fromkeys(sizes, math.inf)
        with ThreadPoolExecutor(self.runs_at_once, "measuring") as threads:
            for _ in range(_PASSES):
                for count, tokens in sizes:
                    run = partial(_run_ms, model, [_cut(window, tokens)] * count)
                    took_ms = [threads.submit(run) for _ in range(self.runs_at_once)]
                    mean_ms = sum(each.result() for each in took_ms) / self.runs_at_once
                    best_ms[count, tokens] = min(best_ms[count, tokens], mean_ms)
        return [Cell(*size, ms) for size, ms in best_ms.items()]

    def _grid(self, longest: int) -> Iterator[tuple[int, int]]:
        for tokens in sorted({*(length for length in _LENGTHS if length < longest), longest}):
            for count in _COUNTS:
                if count == 1 or count * tokens <= self.batch_tokens:
                    yield count, tokens


def _run_ms(model: Model, windows: list[Window]) -> float:
    """Time a run. One on a single thread by the time that the thread had, which other processes cannot take from it."""
    clock = time.thread_time if model.execution.is_on_callers_thread else time.perf_counter
    started_s = clock()
    model.run(windows)
    return 1000 * (clock() - started_s)


def _cut(window: Window, tokens: int) -> Window:
    return Window(np.resize(window.token_ids, tokens), 0, tokens, 0)


def _read(path: Path) -> list[Cell] | None:
    try:
        return [Cell(*cell) for cell in _CELLS.validate_json(path.read_bytes())]
    except (OSError, ValueError):  # not there, or damaged: it is measured anew
        return None


def _write(path: Path, cells: list[Cell]) -> None:
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(cells))
        partial.replace(path)
    except OSError as error:
        _log.warning("costs_not_kept", cause=error.strerror)  # the next start measures again
