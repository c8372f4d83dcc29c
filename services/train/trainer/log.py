"""What a trainer notes for operators: its standard error is the log of its attempt. Never a user's text."""

import sys
from contextlib import suppress


def say(message: str) -> None:
    """Note one line, unless the disk of the log is full: nobody fails for that."""
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)  # noqa: T201 - stderr is the log
