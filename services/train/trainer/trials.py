"""Where the trials of a search are taught: in this process, one after the other, unless somebody offers more."""

from typing import Final, Protocol

from services.train.trainer.driving import Driver
from services.train.trainer.taught import Taught
from services.train.trainer.teaching import Lesson


class TrialRunner(Protocol):
    """A place where trials are taught. Its `teach` is called from `at_once` threads at a time."""

    @property
    def at_once(self) -> int:
        """Trials that it teaches at the same time."""

    def teach(self, lesson: Lesson, driver: Driver) -> Taught:
        """Do what `lesson.teach(driver)` does. What the driver's `report` raises ends the trial, wherever it runs, and is raised."""


class Here:
    """In this process."""

    at_once: Final = 1

    def teach(self, lesson: Lesson, driver: Driver) -> Taught:
        """See TrialRunner."""
        return lesson.teach(driver)


HERE: Final = Here()
