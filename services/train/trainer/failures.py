"""What becomes of an error at the boundary of the process: what callers will read of it."""

import errno
import secrets

from services.train.events import Failure
from services.train.spec import LEAST_MEMORY_BYTES, Assignment, Survey
from services.train.trainer.journal import unforeseen_failure
from services.train.trainer.log import say
from services.train.trainer.memory import lacks_memory
from shared.errors import StoreUnavailableError, TagsmithError, TrainingOutOfMemoryError

_FULL = (errno.ENOSPC, errno.EDQUOT)


class PeerFailedError(Exception):
    """Another process that trains the same network failed, and this one ends for it."""

    def __init__(self, failure: Failure) -> None:
        """`failure` is the other's."""
        super().__init__(f"another worker failed: {failure.reason}")
        self.failure = failure


class GroupLostError(Exception):
    """The processes that train one network cannot speak with each other any more: one of them was lost, or its node, or the way to it.

    No word on the job, which is not to blame: whoever started the processes starts them again.
    """


def failure_of(error: Exception, work: Assignment | Survey | None) -> Failure:
    """Explain an error in `work`; of one that nobody foresaw the log alone tells more, by its incident."""
    if isinstance(error, PeerFailedError):
        return error.failure
    if lacks_memory(error) and not isinstance(error, TrainingOutOfMemoryError):
        return Failure.of(out_of_memory(work))
    if isinstance(error, TagsmithError):
        return Failure.of(error)
    if isinstance(error, OSError) and error.errno in _FULL:
        name = errno.errorcode[error.errno]
        message = "The trainer's disk is full: free some space, or move the folder of jobs (TAGSMITH_TRAIN_JOBS_DIR, or TAGSMITH_TRAIN_STATE_DIR)."
        return Failure.of(StoreUnavailableError(message, operation="write", os_error=name))
    incident = secrets.token_hex(4)
    say(f"incident {incident}")
    return unforeseen_failure(incident)


def out_of_memory(work: Assignment | Survey | None) -> TrainingOutOfMemoryError:
    """The error of a trainer whose memory does not do."""
    most = work.most_memory_bytes if isinstance(work, Assignment) else None
    told = {"max_tokens": work.spec.hyperparameters.max_tokens} if work else {}
    allowed = (
        f" Its limit is {most} bytes: raise it (no trainer does with less than {LEAST_MEMORY_BYTES}), or"
        if most
        else " Give it more, or"
    )
    return TrainingOutOfMemoryError(
        f"The trainer ran out of memory.{allowed} lower batch_size or max_tokens, or take a smaller base.",
        **told,
    )
