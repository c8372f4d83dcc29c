"""Runs a batch so that one bad window costs nobody else an answer. Runs in a runner's thread; holds no state."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

W = TypeVar("W")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Poisoned:
    """Stands in the place of a window's logits: the run failed for this window even alone."""

    error: BaseException


def run_isolated(run: Callable[[Sequence[W]], Sequence[R]], windows: Sequence[W]) -> list[R | Poisoned]:
    """Run `windows` as one batch; where that raises, halve it until the guilty windows stand alone.

    Result i belongs to window i. Costs one run when all is well, and about 2 log2(n) more for each guilty window.
    """
    try:
        return _run(run, windows)
    except Exception as error:  # noqa: BLE001  # contained here: whatever the run raises belongs to its windows
        if len(windows) == 1:
            return [Poisoned(error)]
    half = len(windows) // 2
    return run_isolated(run, windows[:half]) + run_isolated(run, windows[half:])


def _run(run: Callable[[Sequence[W]], Sequence[R]], windows: Sequence[W]) -> list[R | Poisoned]:
    results = run(windows)
    if len(results) != len(windows):
        raise ValueError(f"{len(results)} results for {len(windows)} windows")
    return list(results)
