"""One gRPC connection for load: unary calls of one method over a raw socket, with as little work a call as Python allows.

The load generator shares the cores with the server that it measures; grpc.aio would cost it many times more a call. Only what a
benchmark needs: requests that fit a stream's first window, pings answered, GOAWAY obeyed, the peer's header tables followed.
Concurrency: one thread.
"""

import select
import socket
import struct
import time
from collections import deque
from typing import Any, Final

from tests.bench.serving import frames
from tests.bench.serving.frames import HeaderReader, header_string

_WIDEST_WINDOW: Final = 2**31 - 1
_LONGEST_FRAME: Final = 2**24 - 1
_DEFAULT_WINDOW: Final = 65_535
_READ_BYTES: Final = 1 << 18
_SEND_WAIT_S: Final = 10.0


class Ended:
    """A call's end."""

    __slots__ = ("body", "call", "status", "trailers")

    def __init__(self, call: Any, status: int, body: bytes, trailers: dict[bytes, bytes]) -> None:
        self.call = call  # what it was started with
        self.status = status  # of gRPC
        self.body = body  # the response message, without its prefix
        self.trailers = trailers  # empty where all is well


class _Stream:
    __slots__ = ("body", "call", "message", "timeout_ms")

    def __init__(self, call: Any, message: bytes, timeout_ms: int | None) -> None:
        self.call, self.message, self.timeout_ms, self.body = call, message, timeout_ms, b""


class Connection:
    """Calls of one method to one server. After `is_draining` it takes no new ones."""

    def __init__(self, address: str, path: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.is_draining = False
        self._unprocessed: list[tuple[Any, bytes, int | None]] = []
        self._streams: dict[int, _Stream] = {}
        self._next_id = 1
        self._first_headers = b"\x83\x86" + b"".join(
            (
                b"\x44" + header_string(path.encode()),
                b"\x41" + header_string(address.encode()),
                b"\x40" + header_string(b"te") + header_string(b"trailers"),
                b"\x5f" + header_string(b"application/grpc"),
            )
        )
        self._later_headers = (
            b"\x83\x86\xc1\xc0\xbf\xbe"  # the four that the first request has put into the peer's table
        )
        self._window = self._stream_window = _DEFAULT_WINDOW
        self._longest_frame = 16_384
        self._waiting: deque[tuple[int, bytes]] = deque()  # messages for which the window has no room
        self._unread = b""
        self._received_bytes = 0
        self._headers = HeaderReader()
        settings = struct.pack(
            "!HLHL", frames.INITIAL_WINDOW_SIZE, _WIDEST_WINDOW, frames.MAX_FRAME_SIZE, _LONGEST_FRAME
        )
        self._out = [
            frames.PREFACE,
            frames.frame(frames.SETTINGS, 0, 0, settings),
            frames.frame(frames.WINDOW_UPDATE, 0, 0, struct.pack("!L", _WIDEST_WINDOW - _DEFAULT_WINDOW)),
        ]

    @property
    def calls_in_flight(self) -> int:
        """Calls that have not ended."""
        return len(self._streams)

    def start(self, call: Any, message: bytes, timeout_ms: int | None = None) -> int:
        """Begin a call with an encoded message (see `frames.encode_message`); `call` comes back with its end. Returns its stream."""
        number = self._next_id
        self._next_id = number + 2
        block = self._first_headers if number == 1 else self._later_headers
        if timeout_ms is not None:
            block += b"\x00" + header_string(b"grpc-timeout") + header_string(b"%dm" % timeout_ms)
        self._streams[number] = _Stream(call, message, timeout_ms)
        self._out.append(
            struct.pack("!HBBBL", 0, len(block), frames.HEADERS, frames.END_HEADERS, number) + block
        )
        if self._waiting or len(message) > self._window:
            self._waiting.append((number, message))
        else:
            self._send_message(number, message)
        return number

    def cancel(self, number: int) -> Any:
        """End a call as a client that goes away does; return what it was started with, None if it has ended."""
        stream = self._streams.pop(number, None)
        if stream is None:
            return None
        self._out.append(frames.frame(frames.RST_STREAM, 0, number, struct.pack("!L", frames.CANCEL)))
        return stream.call

    def flush(self) -> None:
        """Send what was started since the last time."""
        if not self._out:
            return
        left = memoryview(b"".join(self._out))
        self._out.clear()
        give_up_s = time.monotonic() + _SEND_WAIT_S
        while left:
            try:
                left = left[self.socket.send(left) :]
            except BlockingIOError:
                if time.monotonic() > give_up_s:
                    raise
                select.select((), (self.socket,), (), 0.1)

    def receive(self) -> list[Ended]:
        """Read what has come; return the calls that it ends, all of them if the peer has closed. Raises ConnectionError."""
        try:
            read = self.socket.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        if not read:
            return self._closed()
        data = self._unread + read if self._unread else read
        at, end = 0, len(data)
        ended: list[Ended] = []
        while end - at >= 9:
            length = int.from_bytes(data[at : at + 3])
            after = at + 9 + length
            if after > end:
                break
            kind, flags = data[at + 3], data[at + 4]
            number = int.from_bytes(data[at + 5 : at + 9]) & _WIDEST_WINDOW
            payload = data[at + 9 : after]
            at = after
            if kind == frames.DATA:
                self._take_data(number, flags, payload)
            elif kind == frames.HEADERS:
                self._take_headers(number, flags, payload, ended)
            else:
                self._take_other(kind, flags, number, payload, ended)
        self._unread = data[at:]
        return ended

    def take_unprocessed(self) -> list[tuple[Any, bytes, int | None]]:
        """Return the calls that a draining server has not begun, once, as `start` takes them."""
        taken, self._unprocessed = self._unprocessed, []
        return taken

    def close(self) -> None:
        """Close the socket, whatever is in flight."""
        self.socket.close()

    def _send_message(self, number: int, message: bytes) -> None:
        if len(message) > self._stream_window:
            raise ValueError(f"a request of {len(message)} bytes does not fit a stream's first window")
        self._window -= len(message)
        last = len(message) - 1
        for start in range(0, len(message), self._longest_frame):
            part = message[start : start + self._longest_frame]
            flags = frames.END_STREAM if start + self._longest_frame > last else 0
            self._out.append(frames.frame(frames.DATA, flags, number, part))

    def _take_data(self, number: int, flags: int, payload: bytes) -> None:
        self._received_bytes += len(payload)
        if self._received_bytes > _WIDEST_WINDOW // 2:
            self._out.append(
                frames.frame(frames.WINDOW_UPDATE, 0, 0, struct.pack("!L", self._received_bytes))
            )
            self._received_bytes = 0
        stream = self._streams.get(number)
        if stream is not None:
            if flags & frames.PADDED:
                payload = payload[1 : len(payload) - payload[0]]
            stream.body = stream.body + payload if stream.body else payload

    def _take_headers(self, number: int, flags: int, payload: bytes, ended: list[Ended]) -> None:
        if not flags & frames.END_HEADERS:
            raise NotImplementedError("a header block of several frames")
        if flags & frames.PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        if flags & frames.PRIORITY:
            payload = payload[5:]
        headers = self._headers.read(payload)
        if not flags & frames.END_STREAM:
            return
        stream = self._streams.pop(number, None)
        if stream is not None:
            status = int(headers.get(b"grpc-status", frames.UNKNOWN))
            ended.append(Ended(stream.call, status, stream.body[5:], headers if status else {}))

    def _take_other(self, kind: int, flags: int, number: int, payload: bytes, ended: list[Ended]) -> None:
        if kind == frames.RST_STREAM:
            stream = self._streams.pop(number, None)
            if stream is not None:
                status = frames.STATUS_OF_RESET.get(int.from_bytes(payload), frames.INTERNAL)
                ended.append(Ended(stream.call, status, b"", {}))
        elif kind == frames.SETTINGS and not flags & frames.ACK:
            self._take_settings(payload)
            self._out.append(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))
        elif kind == frames.PING and not flags & frames.ACK:
            self._out.append(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif kind == frames.WINDOW_UPDATE and number == 0:
            self._window += int.from_bytes(payload)
            while self._waiting and len(self._waiting[0][1]) <= self._window:
                waiting, message = self._waiting.popleft()
                if waiting in self._streams:  # it may have been cancelled
                    self._send_message(waiting, message)
        elif kind == frames.GOAWAY:
            self._take_goaway(int.from_bytes(payload[:4]) & _WIDEST_WINDOW)
        elif kind == frames.CONTINUATION:
            raise NotImplementedError("a header block of several frames")

    def _take_settings(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack("!HL", payload):
            if name == frames.INITIAL_WINDOW_SIZE:
                self._stream_window = value
            elif name == frames.MAX_FRAME_SIZE:
                self._longest_frame = value

    def _take_goaway(self, last: int) -> None:
        self.is_draining = True
        for number in [number for number in self._streams if number > last]:
            stream = self._streams.pop(number)
            self._unprocessed.append((stream.call, stream.message, stream.timeout_ms))

    def _closed(self) -> list[Ended]:
        self.is_draining = True
        ended = [Ended(stream.call, frames.UNAVAILABLE, b"", {}) for stream in self._streams.values()]
        self._streams.clear()
        return ended
