"""Whether a job whose attempt was lost gets another one. Pure.

What a job itself is to blame for is never tried again: the same rows and the same recipe would fail in the same way. What a machine is
to blame for is, as long as attempts get somewhere: after `MOST_LOSSES` in a row of which none came further than those before it the job
fails. A trainer that was killed from outside, alone or with its service, may have been too large for its machine, which nobody tells: where it
happens again, the next attempt computes half as many windows at once; the steps that it takes are the same, up to rounding and dropout.
"""

from typing import Final

from services.train.engines.port import ELSEWHERE, UNWATCHED, Exit
from services.train.jobs.record import JobRecord
from shared.errors import StoreUnavailableError, TrainerLostError

MOST_LOSSES: Final = 3
_KILLED: Final = Exit(signal="SIGKILL")
# Reasons that name a machine or its surroundings, as opposed to rows, recipe or code.
_OF_THE_MACHINE: Final = frozenset({StoreUnavailableError.reason, TrainerLostError.reason})


def may_try_again(job: JobRecord, reason: str) -> bool:
    """Whether a job whose attempt ended for `reason` gets another attempt."""
    return reason in _OF_THE_MACHINE and job.losses + 1 < MOST_LOSSES


def windows_after(job: JobRecord, exit_: Exit) -> int | None:
    """How many windows the next attempt may compute at once, None for as many as fit."""
    if job.losses == 0 or exit_ not in (_KILLED, UNWATCHED, ELSEWHERE):
        return job.most_windows
    chosen = job.spec.hyperparameters
    before = job.most_windows or chosen.micro_batch_size or chosen.batch_size
    return max(1, before // 2)
