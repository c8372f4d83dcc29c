"""`python -m services.train.trainer <folder>`: reads spec.json, writes events.jsonl, exits 0 after Finished, 1 after Failed.

An Assignment is trained, a Survey is looked at. The folder is an attempt's; what an Assignment names as the kept folder outlives it.

SIGTERM keeps its default action, so the kernel ends the process at once, even in the middle of a long native call. That is safe
because a version exists only when its manifest does, and the manifest is created whole, last.
"""

import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from pydantic import TypeAdapter

from services.train.engines.lifeline import hold_lifeline
from services.train.events import Failed, Finished, PhaseStarted, Surveyed
from services.train.spec import LEAST_MEMORY_BYTES, SCRATCH, Assignment, Survey
from services.train.trainer.failures import GroupLostError, failure_of, out_of_memory
from services.train.trainer.journal import Journal
from services.train.trainer.log import say
from services.train.trainer.memory import limit_memory
from shared.errors import TagsmithError
from shared.telemetry.logs import describe_error

WORK: TypeAdapter[Assignment | Survey] = TypeAdapter(Assignment | Survey)
Train = Callable[[Assignment, Journal, Path], None]


def train_here(assignment: Assignment, journal: Journal, scratch: Path) -> None:
    """Carry out a job in this process. The imports take seconds, and come after the first sign of life."""
    from services.train.trainer.pipeline import train

    train(assignment, emit=journal.write, scratch=scratch)


def main(folder: Path, train: Train = train_here) -> int:
    """Do what the spec of the folder says; return the exit code. `train` carries out a job.

    Raises GroupLostError, and has no last word, where the workers of a job have lost each other.
    """
    hold_lifeline()
    journal = Journal(folder / "events.jsonl")
    scratch = folder / SCRATCH
    work = None
    try:
        journal.write(PhaseStarted(phase="PREPARING"))
        work = WORK.validate_json((folder / "spec.json").read_bytes())
        if isinstance(work, Assignment) and work.most_memory_bytes is not None:
            if work.most_memory_bytes < LEAST_MEMORY_BYTES:
                raise out_of_memory(work)  # noqa: TRY301 - told like all others
            limit_memory(work.most_memory_bytes)
        shutil.rmtree(scratch, ignore_errors=True)  # of an attempt that was killed
        scratch.mkdir()
        _do(work, journal, scratch, train)
        journal.write(Finished())
    except GroupLostError:
        raise  # not an end: the workers are started again, and go on in this folder
    except Exception as error:  # noqa: BLE001 - the boundary of the process: every end must be told
        traceback.clear_frames(error.__traceback__)  # they hold what may be most of the memory
        # Whoever reads the log of a fault of the rows or the spec has no use for lines of this program.
        say(f"{error.reason}: {error.message}" if isinstance(error, TagsmithError) else describe_error(error))
        journal.write(Failed(failure=failure_of(error, work)))
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        journal.close()
    return 0


def _do(work: Assignment | Survey, journal: Journal, scratch: Path, train: Train) -> None:
    if isinstance(work, Survey):
        from services.train.trainer.survey import survey

        journal.write(Surveyed(report=survey(work, scratch=scratch)))
    else:
        train(work, journal, scratch)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
