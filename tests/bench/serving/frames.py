"""HTTP/2 on the wire, as far as gRPC's unary calls need it: frames, header strings, header blocks, gRPC's statuses and messages."""

import struct
from typing import Final

from hpack import Decoder
from hpack.table import HeaderTable

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 4, 5  # settings
CANCEL: Final = 8  # reason of a reset

OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = 0, 1, 2, 3, 4, 5
RESOURCE_EXHAUSTED, FAILED_PRECONDITION, INTERNAL, UNAVAILABLE = 8, 9, 13, 14
STATUS_NAMES: Final = {
    OK: "OK",
    CANCELLED: "CANCELLED",
    UNKNOWN: "UNKNOWN",
    INVALID_ARGUMENT: "INVALID_ARGUMENT",
    DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
    NOT_FOUND: "NOT_FOUND",
    RESOURCE_EXHAUSTED: "RESOURCE_EXHAUSTED",
    FAILED_PRECONDITION: "FAILED_PRECONDITION",
    INTERNAL: "INTERNAL",
    UNAVAILABLE: "UNAVAILABLE",
}
STATUS_OF_RESET: Final = {7: UNAVAILABLE, CANCEL: CANCELLED, 11: RESOURCE_EXHAUSTED}  # as gRPC maps them

_LONGEST_KNOWN_BLOCK: Final = 32  # bytes; longer ones carry an error's words and hardly come twice
_LONGEST_STRING: Final = 126


def frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    """Return a frame of stream `number`."""
    length = len(payload)
    return struct.pack("!BHBBL", length >> 16, length & 0xFFFF, kind, flags, number) + payload


def header_string(value: bytes) -> bytes:
    """Return a header's name or value with its length, not compressed. Raises ValueError for a long one."""
    if len(value) > _LONGEST_STRING:
        raise ValueError("a header value is too long for this client")
    return bytes((len(value),)) + value


def encode_message(message: bytes) -> bytes:
    """Put gRPC's prefix before a serialised message: not compressed, so many bytes."""
    return b"\x00" + struct.pack("!L", len(message)) + message


def status_name(status: int) -> str:
    """Name a status of gRPC, or give its number."""
    return STATUS_NAMES.get(status, str(status))


class _WatchedTable(HeaderTable):
    """Knows whether it has changed: until then equal header blocks mean equal headers."""

    changed = False

    def add(self, name: bytes, value: bytes) -> None:
        self.changed = True
        super().add(name, value)


class HeaderReader:
    """A connection's header blocks, in the order of their coming; what has come before is not decoded again."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._decoder.header_table = self._table = _WatchedTable()
        self._known: dict[bytes, dict[bytes, bytes]] = {}

    def read(self, block: bytes) -> dict[bytes, bytes]:
        """Return the headers of a block."""
        return self._known.get(block) or self._decode(block)

    def _decode(self, block: bytes) -> dict[bytes, bytes]:
        self._table.changed = False
        headers = {bytes(name): bytes(value) for name, value in self._decoder.decode(block, raw=True)}
        if self._table.changed:
            self._known.clear()
        elif len(block) <= _LONGEST_KNOWN_BLOCK:
            self._known[block] = headers
        return headers
