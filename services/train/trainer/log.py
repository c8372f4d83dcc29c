"""What a trainer notes for operators: its standard error is the log of its attempt. Never a user's text."""

import sys


def say(message: str) -> None:
    """Note one line."""
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - stderr is the log
