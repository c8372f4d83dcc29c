"""What a trainer says, line by line, in the `events.jsonl` of its job's folder.

Invariant: each line is one whole event, flushed before the next. One thread writes.
"""

from pathlib import Path

from services.train.events import Failure, TrainerEvent


class Journal:
    """Appends events to a file."""

    def __init__(self, path: Path) -> None:
        """Open `path` for appending; it is made if absent."""
        self._file = path.open("a", encoding="utf-8")

    def write(self, event: TrainerEvent) -> None:
        """Append one event and hand it to the operating system."""
        self._file.write(event.model_dump_json() + "\n")
        self._file.flush()

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
