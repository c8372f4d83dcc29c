"""Failpoints at every system call with which a folder store changes something.

The store's module sees `os` and `shutil` through this object, nobody else does. Its calls are numbered from 0; instead of
call `at`, `action` runs. A write that is hit has already written half of its bytes. fsync is only counted: the kernel outlives
the process that is killed here, so waiting for the disk would prove nothing.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from shared.store import folder

CHANGES = ("open", "mkdir", "fsync", "link", "replace", "unlink")


class Failpoints:
    """Stands in for `os` and `shutil`."""

    def __init__(self, at: int, action: Callable[[], None]) -> None:
        """Run `action` at call number `at`."""
        self._at = at
        self._action = action
        self.calls: list[str] = []
        self.hit = ""

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in CHANGES:
            return real

        def call(*arguments: Any, **options: Any) -> Any:
            self._reach(name)
            return None if name == "fsync" else real(*arguments, **options)

        return call

    def copyfileobj(self, source: BinaryIO, target: BinaryIO, length: int) -> None:
        """Copy as shutil does."""
        if len(self.calls) == self._at:
            target.write(source.read()[: source.tell() // 2])
            target.flush()
        self._reach("write")
        shutil.copyfileobj(source, target, length)

    def _reach(self, name: str) -> None:
        number = len(self.calls)
        self.calls.append(name)
        if number == self._at:
            self.hit = name
            self._action()


@contextmanager
def failing(at: int, action: Callable[[], None]) -> Iterator[Failpoints]:
    """Arm a failpoint for the block."""
    points = Failpoints(at, action)
    vars(folder).update(os=points, shutil=points)
    try:
        yield points
    finally:
        vars(folder).update(os=os, shutil=shutil)
