"""`python -m services.train.trainer <folder>`: reads spec.json, writes events.jsonl, exits 0 after Finished, 1 after Failed.

An Assignment is trained, a Survey is looked at. The folder is an attempt's; what an Assignment names as the kept folder outlives it.

SIGTERM keeps its default action, so the kernel ends the process at once, even in the middle of a long native call. That is safe
because a version exists only when its manifest does, and the manifest is created whole, last.
"""

import errno
import secrets
import shutil
import sys
import time
import traceback
from functools import partial
from pathlib import Path

from pydantic import TypeAdapter

from services.train.engines.lifeline import hold_lifeline
from services.train.events import Failed, Failure, Finished, PhaseStarted, Surveyed, TrainerEvent
from services.train.spec import SCRATCH, Assignment, Survey
from services.train.trainer.journal import Journal, unforeseen_failure
from services.train.trainer.log import say
from services.train.trainer.memory import lacks_memory, limit_memory
from services.train.trainer.narration import line_of
from shared.errors import StoreUnavailableError, TagsmithError, TrainingOutOfMemoryError
from shared.telemetry.logs import describe_error

_WORK: TypeAdapter[Assignment | Survey] = TypeAdapter(Assignment | Survey)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def main(folder: Path) -> int:
    """Do what the spec of the folder says; return the exit code."""
    hold_lifeline()
    journal = Journal(folder / "events.jsonl")
    scratch = folder / SCRATCH
    work = None
    try:
        _tell(journal, PhaseStarted(phase="PREPARING"))
        work = _WORK.validate_json((folder / "spec.json").read_bytes())
        if isinstance(work, Assignment) and work.most_memory_bytes is not None:
            limit_memory(work.most_memory_bytes)
        shutil.rmtree(scratch, ignore_errors=True)  # of an attempt that was killed
        scratch.mkdir()
        _do(work, journal, scratch)
        _tell(journal, Finished())
    except Exception as error:  # noqa: BLE001 - the boundary of the process: every end must be told
        traceback.clear_frames(error.__traceback__)  # they hold what may be most of the memory
        say(describe_error(error))
        journal.write(Failed(failure=_explain(error, work)))
        return 1
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        journal.close()
    return 0


def _do(work: Assignment | Survey, journal: Journal, scratch: Path) -> None:
    """The imports take seconds, and come after the first sign of life."""
    if isinstance(work, Survey):
        from services.train.trainer.survey import survey

        journal.write(Surveyed(report=survey(work, scratch=scratch)))
    else:
        from services.train.trainer.pipeline import train

        train(work, emit=partial(_tell, journal), scratch=scratch)


def _tell(journal: Journal, event: TrainerEvent) -> None:
    """Tell the service, and whoever reads the log."""
    journal.write(event)
    if (line := line_of(event)) is not None:
        say(f"{time.strftime('%Y-%m-%d %H:%M:%SZ', time.gmtime())} {line}")


def _explain(error: Exception, work: Assignment | Survey | None) -> Failure:
    if lacks_memory(error) and not isinstance(error, TrainingOutOfMemoryError):
        return Failure.of(_out_of_memory(work))
    if isinstance(error, TagsmithError):
        return Failure.of(error)
    if isinstance(error, OSError) and error.errno in _FULL:
        name = errno.errorcode[error.errno]
        message = "The trainer's disk is full: free some space, or move TAGSMITH_TRAIN_STATE_DIR."
        return Failure.of(StoreUnavailableError(message, operation="write", os_error=name))
    incident = secrets.token_hex(4)
    say(f"incident {incident}")
    return unforeseen_failure(incident)


def _out_of_memory(work: Assignment | Survey | None) -> TrainingOutOfMemoryError:
    most = work.most_memory_bytes if isinstance(work, Assignment) else None
    told = {"max_tokens": work.spec.hyperparameters.max_tokens} if work else {}
    allowed = f" Its limit is {most} bytes: raise it, or" if most else " Give it more, or"
    return TrainingOutOfMemoryError(
        f"The trainer ran out of memory.{allowed} lower batch_size or max_tokens, or take a smaller base.",
        **told,
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
