"""Runs a batch so that one bad window costs nobody else an answer.

A batch is made ready and taken apart on the event loop, and computed on a runner's thread, which has next to no Python to run: a
thread that needs the GIL for long keeps the event loop waiting, longest when there is too much to do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

W = TypeVar("W")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Poisoned:
    """Stands in the place of a window's result: the run failed for this window even alone."""

    error: BaseException


class Pass(Protocol[R_co]):
    """A batch that is ready."""

    def compute(self) -> None:
        """Do what takes long; called once, on any thread."""

    def results(self) -> Sequence[R_co]:
        """Return a result for each window, after `compute`."""


class IsolatedRun(Generic[W, R]):
    """A batch: made, then computed, then asked for its outcomes. No step raises an Exception."""

    def __init__(self, begin: Callable[[Sequence[W]], Pass[R]], windows: Sequence[W]) -> None:
        self._begin, self._windows = begin, windows
        self._halved: list[R | Poisoned] | None = None
        self._pass: Pass[R] | _NotReady
        try:
            self._pass = begin(windows)
        except Exception as error:  # noqa: BLE001  # contained here: whatever a step raises belongs to its windows
            self._pass = _NotReady(error)

    def compute(self) -> None:
        """Compute the batch; where that fails, halve it until the guilty windows stand alone: about 2 log2(n) more runs for each."""
        try:
            self._pass.compute()
        except Exception as error:  # noqa: BLE001
            self._halved = _halved(self._begin, self._windows, error)

    def outcomes(self) -> list[R | Poisoned]:
        """Return what became of the windows, in their order."""
        if self._halved is not None:
            return self._halved
        try:
            return _whole(self._pass, self._windows)
        except Exception as error:  # noqa: BLE001
            return [Poisoned(error)] * len(self._windows)


@dataclass(frozen=True, slots=True)
class _NotReady:
    """Stands for a batch that could not be made ready."""

    error: Exception

    def compute(self) -> None:
        raise self.error

    def results(self) -> Sequence[Any]:
        raise self.error


def _halved(
    begin: Callable[[Sequence[W]], Pass[R]], windows: Sequence[W], error: Exception
) -> list[R | Poisoned]:
    if len(windows) == 1:
        return [Poisoned(error)]
    half = len(windows) // 2
    return _run(begin, windows[:half]) + _run(begin, windows[half:])


def _run(begin: Callable[[Sequence[W]], Pass[R]], windows: Sequence[W]) -> list[R | Poisoned]:
    try:
        one = begin(windows)
        one.compute()
        return _whole(one, windows)
    except Exception as error:  # noqa: BLE001
        return _halved(begin, windows, error)


def _whole(one: Pass[R], windows: Sequence[W]) -> list[R | Poisoned]:
    results = one.results()
    if len(results) != len(windows):
        raise ValueError(f"{len(results)} results for {len(windows)} windows")
    return list(results)
