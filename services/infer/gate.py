"""Counts the calls in flight and, once the server stops, refuses new ones and waits for those. Event loop only."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import ServerDrainingError


class Gate:
    """Open until closed, for good."""

    def __init__(self) -> None:
        """Begin open, with nobody inside."""
        self._inside = 0
        self._open = True
        self._empty = asyncio.Event()
        self._empty.set()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Hold a call inside. Raises ServerDrainingError if the gate is closed."""
        if not self._open:
            raise ServerDrainingError("this server is stopping: another replica will answer.")
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    async def close(self) -> None:
        """Let nobody in any more; return when the last call has left."""
        self._open = False
        await self._empty.wait()
