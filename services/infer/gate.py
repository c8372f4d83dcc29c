"""Counts the calls in flight and, once the server stops, refuses new ones and waits for those. Event loop only."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from shared.errors import ServerDrainingError

# gRPC drops a call that arrives in the instant of its own shutdown as CANCELLED, which no client retries. So shutdown waits for
# an instant in which nobody calls, within reason.
QUIET_S: Final = 0.1
LONGEST_WAIT_FOR_QUIET_S: Final = 2.0


class Gate:
    """Open until closed, for good. `closing` is set when nobody is let in any more."""

    def __init__(self) -> None:
        """Begin open, with nobody inside."""
        self._inside = 0
        self.closing = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._refused_s = -math.inf

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Hold a call inside. Raises ServerDrainingError if the gate is closed."""
        if self.closing.is_set():
            self._refused_s = asyncio.get_running_loop().time()
            raise draining()
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    async def close(self) -> None:
        """Let nobody in any more; return when the last call has left and callers have gone elsewhere."""
        self.closing.set()
        await self._empty.wait()
        loop = asyncio.get_running_loop()
        now_s = empty_s = loop.time()
        while now_s < empty_s + LONGEST_WAIT_FOR_QUIET_S:
            await asyncio.sleep(QUIET_S)
            now_s = loop.time()
            if now_s - self._refused_s >= QUIET_S:
                return


def draining() -> ServerDrainingError:
    """What callers are told who come too late."""
    return ServerDrainingError("this server is stopping: another replica will answer.")
