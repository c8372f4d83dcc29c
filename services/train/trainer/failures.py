"""What becomes of an error at the boundary of the process: what callers will read of it."""

import errno
import secrets
import sys

from services.train.events import Failure
from services.train.trainer.journal import unforeseen_failure
from shared.errors import StoreUnavailableError, TagsmithError

_FULL = (errno.ENOSPC, errno.EDQUOT)


class PeerFailedError(Exception):
    """Another process that trains the same network failed, and this one ends for it."""

    def __init__(self, failure: Failure) -> None:
        """`failure` is the other's."""
        super().__init__(f"another worker failed: {failure.reason}")
        self.failure = failure


def failure_of(error: Exception) -> Failure:
    """Explain an error; of one that nobody foresaw the log alone tells more, by its incident."""
    if isinstance(error, PeerFailedError):
        return error.failure
    if isinstance(error, TagsmithError):
        return Failure.of(error)
    if isinstance(error, OSError) and error.errno in _FULL:
        name = errno.errorcode[error.errno]
        message = "The trainer's disk is full: free some space, or move TAGSMITH_TRAIN_STATE_DIR."
        return Failure.of(StoreUnavailableError(message, operation="write", os_error=name))
    incident = secrets.token_hex(4)
    print(f"incident {incident}", file=sys.stderr)  # noqa: T201 - stderr is the job's log
    return unforeseen_failure(incident)
