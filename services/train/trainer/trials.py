"""Where the trials of a search are trained: in this process, one after the other, unless somebody offers more."""

from collections.abc import Callable
from typing import Final, Protocol

from services.train.events import Progress
from services.train.trainer.network import Network
from services.train.trainer.teaching import Lesson

Note = Callable[[Progress], None]


class TrialRunner(Protocol):
    """A place where trials are trained. Its `teach` is called from `at_once` threads at a time."""

    @property
    def at_once(self) -> int:
        """Trials that it trains at the same time."""

    def teach(self, lesson: Lesson, note: Note) -> Network:
        """Do what `lesson.teach(note)` does. What `note` raises ends the trial, wherever it runs, and is raised."""


class Here:
    """In this process."""

    at_once: Final = 1

    def teach(self, lesson: Lesson, note: Note) -> Network:
        """See TrialRunner."""
        return lesson.teach(note)


HERE: Final = Here()
