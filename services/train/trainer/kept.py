"""The folder of a job that outlives its attempts: checkpoints, and what a search knows."""

import hashlib
import json
from pathlib import Path
from typing import Final, Literal

from services.train.spec import SEARCH_JOURNAL, Assignment
from services.train.trainer.checkpoint import Checkpoints

# `checkpoints`: of the version's network; `best-trial`: of the best network that a search has come to; `twin`: of the network that the
# gain is measured against.
Name = Literal["checkpoints", "best-trial", "twin"]

_FORMAT: Final = 1  # of the checkpoints: one more whenever an older one cannot be gone on from
_NAMES: Final[tuple[Name, ...]] = ("checkpoints", "best-trial", "twin")


class Kept:
    """What attempts leave each other."""

    def __init__(self, assignment: Assignment) -> None:
        """Make the folder if it is absent. Raises OSError."""
        self._folder = Path(assignment.kept_folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._attempt = assignment.attempt
        # Defaults are left out, so that a knob that the next version of the code adds does not make it another spec.
        spec = assignment.spec.model_dump(mode="json", exclude_defaults=True)
        self._made = json.dumps([_FORMAT, assignment.version, spec], sort_keys=True)

    @property
    def journal(self) -> Path:
        """The file of a search."""
        return self._folder / SEARCH_JOURNAL

    def checkpoints(self, name: Name) -> Checkpoints:
        """Those of one network; none is ever taken for another's."""
        identity = hashlib.sha256(f"{name} {self._made}".encode()).hexdigest()
        return Checkpoints(self._folder / name, self._attempt, identity)

    def clear(self) -> None:
        """Remove the checkpoints: the version is published."""
        for name in _NAMES:
            self.checkpoints(name).clear()
