"""Reads what a trainer says in `events.jsonl`, as it says it.

Whole lines only: a torn last line is read once it is complete. A line that is no event is passed over and logged by its number.
Blocks; used from one thread at a time.
"""

from pathlib import Path

from pydantic import ValidationError

from services.train.events import EVENT, TrainerEvent
from shared.telemetry.logs import get_logger

_log = get_logger()


class EventLog:
    """The events of one trainer, from its first."""

    def __init__(self, file: Path) -> None:
        """`file` may not be there yet."""
        self._file = file
        self._offset_bytes = 0
        self._lines = 0

    def read(self) -> list[TrainerEvent]:
        """Return the events since the last call, in order."""
        if not self._file.exists():
            return []
        with self._file.open("rb") as file:
            file.seek(self._offset_bytes)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset_bytes += len(whole)
        events: list[TrainerEvent] = []
        for line in whole.splitlines():
            self._lines += 1
            try:
                events.append(EVENT.validate_json(line))
            except ValidationError as error:
                _log.warning(
                    "bad_event", file=str(self._file), line=self._lines, error_count=error.error_count()
                )
        return events
