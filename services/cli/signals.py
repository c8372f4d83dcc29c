"""SIGINT, SIGTERM and SIGHUP for a command that has children: noted at any time, raised only where that is safe.

An exception between the start of a child and the note that it exists would leave the child behind. So a signal sets a mark, and
raises only within `raising()`. Used in the main thread, where Python runs handlers.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(KeyboardInterrupt):
    """Somebody wants this command to end. Like every KeyboardInterrupt it passes `except Exception`."""


class Signals:
    """The handlers of the three signals, for a block."""

    def __init__(self) -> None:
        """Nothing is handled before the block is entered."""
        self._came = False
        self._raises = False

    def __enter__(self) -> Self:
        heeded = [
            number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN
        ]  # as under nohup
        self._before = {number: signal.signal(number, self._note) for number in heeded}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise StopRequested if one has come."""
        if self._came:
            raise StopRequested

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Within this block a signal raises StopRequested wherever the main thread is, once."""
        self._raises = True
        try:
            self.check()
            yield
        finally:
            self._raises = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        if self._raises:
            self._raises = False
            raise StopRequested
