"""Where bulk waits outside. Event loop only.

Invariants: those who wait go in one after another, in the order in which they came, while there is room; newcomers pass nobody.
Whoever was called in and does not come leaves the turn to the next.
"""

import asyncio
from collections import deque
from collections.abc import Callable


class BulkDoor:
    """Lets in while `has_room` says so. `let_in` is called whenever there may be more room."""

    def __init__(self, has_room: Callable[[], bool]) -> None:
        self._has_room = has_room
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._called: asyncio.Future[None] | None = None  # in, and has not come yet
        self._loop = asyncio.get_running_loop()

    async def wait(self) -> None:
        """Return when the caller may go in; it takes its room before it awaits anything else."""
        if not self._waiting and self._called is None and self._has_room():
            return
        turn = self._loop.create_future()
        self._waiting.append(turn)
        self.let_in()
        try:
            await turn
        finally:
            if self._called is turn:
                self._loop.call_soon(self._came)  # when it has taken its room, or has failed to

    def let_in(self) -> None:
        """Call the next one, if there is room and nobody is on the way."""
        while self._waiting and self._called is None and self._has_room():
            turn = self._waiting.popleft()
            if not turn.done():  # else its caller has left
                self._called = turn
                turn.set_result(None)

    def _came(self) -> None:
        self._called = None
        self.let_in()
