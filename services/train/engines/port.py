"""What an engine must be able to do: run trainers where it likes, and find them again.

A trainer reads `spec.json` of its attempt's folder and writes `events.jsonl` there. All calls block: asyncio code runs them in threads.
"""

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Handle = Mapping[str, str | int | float]  # how an engine finds a trainer again; goes through JSON


@dataclass(frozen=True, slots=True)
class Exit:
    """How a trainer's process ended: by itself or by a signal; with neither, UNWATCHED."""

    code: int | None = None
    signal: str | None = None  # such as SIGKILL
    elsewhere: bool = False  # it ran at another service, which was lost with it

    @classmethod
    def of_returncode(cls, returncode: int) -> "Exit":
        """Read a return code as `subprocess` gives it: negative for a signal."""
        if returncode >= 0:
            return cls(code=returncode)
        return cls(signal=signal.Signals(-returncode).name)

    @property
    def metadata(self) -> dict[str, str]:
        """The signal or the exit code, as errors tell it."""
        if self.signal is not None:
            return {"signal": self.signal}
        return {} if self.code is None else {"exit_code": str(self.code)}

    def __str__(self) -> str:
        if self.signal is not None:
            return f"was ended by {self.signal}"
        if self.code is not None:
            return f"ended with exit code {self.code}"
        return "was lost with its service" if self.elsewhere else "ended while no service watched it"


UNWATCHED = Exit()
ELSEWHERE = Exit(elsewhere=True)


class Trainer(Protocol):
    """A trainer that runs, or has run."""

    def poll(self) -> Exit | None:
        """Return how its process ended, None while it lives."""

    def stop(self, *, grace_s: float) -> bool:
        """Ask it to end, and after `grace_s` end it and all that it started. Return whether every process of it is gone now.

        May be called again, also after its own end, for what it left behind.
        """


class Engine(Protocol):
    """A place where trainers run."""

    @property
    def is_shared(self) -> bool:
        """Whether other services may adopt the trainers that this one has started."""

    def start(self, folder: Path, on_record: Callable[[Handle], object]) -> Trainer:
        """Start the trainer of an attempt's folder.

        `on_record` writes the handle down. The trainer runs its first instruction only after it returned: a trainer that nobody
        can find again never runs. Raises OSError, and what `on_record` raises.
        """

    def adopt(self, handle: Handle, folder: Path) -> Trainer:
        """Find a trainer again by its handle, alive or not, after the service that started it has gone."""
