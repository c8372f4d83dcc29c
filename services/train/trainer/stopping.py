"""Whether somebody asks a training to end early and keep the best so far: by a file."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_INTERVAL_S: Final = 0.5


class StopRequest:
    """Looks for the file twice a second at most; once asked, it stays asked."""

    def __init__(self, file: Path, now: Callable[[], float] = time.monotonic) -> None:
        """`now` is a monotonic clock in seconds."""
        self._file, self._now = file, now
        self._next_look_s = now()
        self._is_asked = False

    def __call__(self) -> bool:
        """Tell whether training is to end."""
        if not self._is_asked and self._now() >= self._next_look_s:
            self._is_asked = self._file.exists()
            self._next_look_s = self._now() + _INTERVAL_S
        return self._is_asked
