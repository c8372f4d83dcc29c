"""What every format yields, and how one unusable line is told."""

import json
from collections.abc import Iterator

Record = dict[str, object]


class LineError(ValueError):
    """A line, or what begins at it, cannot be used; the message describes its problem and never quotes it."""


Records = Iterator[
    tuple[int, Record | LineError]
]  # with the number, from 1, of the line (or row) that a record begins at


def decode(line: bytes) -> str:
    """Read a line as UTF-8. Raises LineError."""
    if b"\0" in line:
        raise LineError("holds a NUL byte; is this a text file in UTF-8?")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LineError(f"is not UTF-8 at byte {error.start + 1} of the line") from error


def decode_lines(content: bytes) -> tuple[list[str], list[tuple[int, LineError]]]:
    """Read all lines, with their ends, and tell which ones are not UTF-8."""
    lines: list[str] = []
    unreadable: list[tuple[int, LineError]] = []
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        try:
            lines.append(decode(line))
        except LineError as error:
            unreadable.append((number, error))
    return lines, unreadable


def parse_json(text: str, *, what: str) -> object:
    """Read JSON; `what` names it. Raises LineError."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise LineError(f"{what} is not JSON: {error.msg} at character {error.pos + 1}") from error
    except (
        ValueError,
        RecursionError,
    ) as error:  # a number of thousands of digits; brackets nested thousands deep
        raise LineError(
            f"{what} is JSON that cannot be read: a number is too long or it is nested too deep"
        ) from error


def count(number: int, noun: str) -> str:
    """Say how many."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
