"""The folders of a job; `<jobs>` may lie on storage that several services and machines share.

<jobs>/<job>/kept/                what the next attempt goes on from; gone when the job has ended
<jobs>/<job>/attempts/<0001>/     one attempt: spec.json, events.jsonl, trainer.log, scratch/, and `stop`, which asks its trainer to keep
                                  the best so far
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from services.train.spec import Assignment
from shared.store.failures import store_errors


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The folder of one job."""

    path: Path

    @property
    def kept(self) -> Path:
        """What survives attempts."""
        return self.path / "kept"

    def attempt(self, number: int) -> Path:
        """The folder of an attempt, numbered from 1."""
        return self.path / "attempts" / f"{number:04d}"

    def log(self, number: int) -> Path:
        """What an attempt's trainer printed."""
        return self.attempt(number) / "trainer.log"


def lay_out(attempt: Path, kept: Path, assignment: Assignment) -> None:
    """Make the folder of an attempt that no trainer has run in yet. Blocks. Raises StoreUnavailableError."""
    with store_errors("start trainer"):
        shutil.rmtree(attempt, ignore_errors=True)  # of a start that came to nothing
        attempt.mkdir(parents=True)
        kept.mkdir(exist_ok=True)
        (attempt / "spec.json").write_text(assignment.model_dump_json(indent=1), "utf-8")
