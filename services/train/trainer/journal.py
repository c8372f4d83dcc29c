"""What a trainer says, line by line, in the `events.jsonl` of its attempt's folder; what people want to know of it goes to its log as well.

Invariant: each line is one whole event, handed to the operating system before the next, but for what a full disk cut off. One thread writes.
"""

import time
from pathlib import Path

from services.train.events import Failure, Progress, TrainerEvent
from services.train.trainer.log import say
from services.train.trainer.narration import line_of


class Journal:
    """Appends events to a file."""

    def __init__(self, path: Path) -> None:
        """Open `path` for appending; it is made if absent."""
        self._file = path.open("ab", buffering=0)
        self._is_torn = False

    def write(self, event: TrainerEvent) -> None:
        """Append one event and hand it to the operating system. Raises OSError; but Progress that finds no room is left out: more will come."""
        rest = b"\n" * self._is_torn + event.model_dump_json().encode() + b"\n"
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
                self._is_torn = bool(rest)
        except OSError:
            if not isinstance(event, Progress):
                raise
        if (line := line_of(event)) is not None:
            say(f"{time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime())} {line}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def unforeseen_failure(incident: str) -> Failure:
    """What callers will read of an error that nobody foresaw: where its details are, and none of them."""
    return Failure(
        reason="INTERNAL",
        message=f"The trainer failed unexpectedly. Its log names incident {incident}.",
        metadata={"incident": incident},
    )
