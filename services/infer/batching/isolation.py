"""Runs a batch so that one bad window costs nobody else an answer.

A batch is made ready and taken apart on the event loop, and computed on a runner's thread, which has next to no Python to run: a
thread that needs the GIL for long keeps the event loop waiting, longest when there is too much to do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

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
    """A batch: made, then computed, then asked for its outcomes. No step raises an Exception.

    A window that breaks the making or the computing of a batch stands alone for it. What breaks the results of a batch that was
    computed is no window's fault: then none of them has one.
    """

    def __init__(self, begin: Callable[[Sequence[W]], Pass[R]], windows: Sequence[W]) -> None:
        self._begin, self._windows = begin, windows
        self._pass: Pass[R] | None = None
        self._error: Exception | None = None
        self._halves: list[R | Poisoned] = []
        try:
            self._pass = begin(windows)
        except Exception as error:  # noqa: BLE001  # contained here: whatever a step raises belongs to its windows
            self._error = error

    @property
    def is_whole(self) -> bool:
        """Whether the batch was computed as one, or is still to be."""
        return self._error is None

    def compute(self) -> None:
        """Compute the batch; where that fails, halve it until the guilty windows stand alone: about 2 log2(n) more runs for each."""
        if self._pass is not None:
            try:
                self._pass.compute()
            except Exception as error:  # noqa: BLE001
                self._error = error
        if self._error is not None:
            self._halves = _halved(self._begin, self._windows, self._error)

    def outcomes(self) -> list[R | Poisoned]:
        """Return what became of the windows, in their order."""
        if self._pass is None or self._error is not None:
            return self._halves
        return _results(self._pass, self._windows)


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
    except Exception as error:  # noqa: BLE001
        return _halved(begin, windows, error)
    return _results(one, windows)


def _results(one: Pass[R], windows: Sequence[W]) -> list[R | Poisoned]:
    try:
        return [result for result, _ in zip(one.results(), windows, strict=True)]
    except Exception as error:  # noqa: BLE001
        return [Poisoned(error)] * len(windows)
