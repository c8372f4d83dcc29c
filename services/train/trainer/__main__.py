"""`python -m services.train.trainer <folder>`: reads spec.json, writes events.jsonl, exits 0 after Finished, 1 after Failed.

An Assignment is trained, a Survey is looked at.

SIGTERM keeps its default action, so the kernel ends the process at once, even in the middle of a long native call. That is safe
because a version exists only when its manifest does, and the manifest is created whole, last.
"""

import errno
import secrets
import shutil
import sys
from pathlib import Path

from pydantic import TypeAdapter

from services.train.engines.lifeline import hold_lifeline
from services.train.events import Failed, Failure, Finished, PhaseStarted, Surveyed
from services.train.spec import SCRATCH, Assignment, Survey
from services.train.trainer.journal import Journal, unforeseen_failure
from shared.errors import StoreUnavailableError, TagsmithError
from shared.telemetry.logs import describe_error

_WORK: TypeAdapter[Assignment | Survey] = TypeAdapter(Assignment | Survey)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def main(job_folder: Path) -> int:
    """Do what the spec of the folder says; return the exit code."""
    hold_lifeline()
    journal = Journal(job_folder / "events.jsonl")
    scratch = job_folder / SCRATCH
    try:
        journal.write(PhaseStarted(phase="PREPARING"))
        work = _WORK.validate_json((job_folder / "spec.json").read_bytes())
        shutil.rmtree(scratch, ignore_errors=True)  # of an attempt that was killed
        scratch.mkdir()
        _do(work, journal, scratch)
        journal.write(Finished())
    except Exception as error:  # noqa: BLE001 - the boundary of the process: every end must be told
        print(describe_error(error), file=sys.stderr)  # noqa: T201 - stderr is the job's log
        journal.write(Failed(failure=_explain(error)))
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

        train(work, emit=journal.write, scratch=scratch)


def _explain(error: Exception) -> Failure:
    if isinstance(error, TagsmithError):
        return Failure.of(error)
    if isinstance(error, OSError) and error.errno in _FULL:
        name = errno.errorcode[error.errno]
        message = "The trainer's disk is full: free some space, or move TAGSMITH_TRAIN_STATE_DIR."
        return Failure.of(StoreUnavailableError(message, operation="write", os_error=name))
    incident = secrets.token_hex(4)
    print(f"incident {incident}", file=sys.stderr)  # noqa: T201 - stderr is the job's log
    return unforeseen_failure(incident)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
