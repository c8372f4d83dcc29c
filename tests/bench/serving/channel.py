"""Several connections to one server as one, kept up while the server asks its clients to reconnect. Concurrency: one thread."""

import select
from typing import Any, Final

from tests.bench.serving.http2 import Connection, Ended

CONNECTIONS: Final = 4


class Channel:
    """Starts each call on the connection that has the fewest in flight."""

    def __init__(self, address: str, path: str, *, connections: int = CONNECTIONS) -> None:
        self._address, self._path = address, path
        self._open = [Connection(address, path) for _ in range(connections)]
        self._draining: list[Connection] = []

    @property
    def calls_in_flight(self) -> int:
        """Calls that have not ended."""
        return sum(each.calls_in_flight for each in (*self._open, *self._draining))

    def start(self, call: Any, message: bytes, timeout_ms: int | None = None) -> tuple[Connection, int]:
        """Begin a call; return where it runs, for `Connection.cancel`."""
        connection = min(self._open, key=_calls_in_flight)
        return connection, connection.start(call, message, timeout_ms)

    def flush(self) -> None:
        """Send what was started."""
        for connection in self._open:
            connection.flush()
        for connection in self._draining:
            connection.flush()

    def wait(self, timeout_s: float) -> list[Ended]:
        """Send what was started, wait until the server has sent something or the time is over, and return the calls that have ended.

        Raises ConnectionError if the server is gone.
        """
        self.flush()
        connections = {each.socket: each for each in (*self._open, *self._draining)}
        # select() knows microseconds; poll() and epoll would round a wait for the next arrival up to a millisecond.
        readable, _, _ = select.select(connections, (), (), max(timeout_s, 0.0))
        ended: list[Ended] = []
        for each in readable:
            connection = connections[each]
            ended += connection.receive()
            if connection.is_draining:
                self._replace(connection)
        return ended

    def close(self) -> None:
        """Close all connections."""
        for connection in (*self._open, *self._draining):
            connection.close()

    def __enter__(self) -> "Channel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _replace(self, connection: Connection) -> None:
        """Let it end its calls, and take its place by a new one, which also takes the calls that the server has not begun."""
        if connection in self._open:
            self._open[self._open.index(connection)] = Connection(self._address, self._path)
            self._draining.append(connection)
        for call, message, timeout_ms in connection.take_unprocessed():
            self.start(call, message, timeout_ms)
        if not connection.calls_in_flight:
            self._draining.remove(connection)
            connection.close()


def _calls_in_flight(connection: Connection) -> int:
    return connection.calls_in_flight
