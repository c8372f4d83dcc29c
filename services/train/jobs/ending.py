"""What the end of a trainer means for its job.

The store decides first: a manifest of this job in it is the job's success (or the gate's refusal), whatever the trainer managed to
say. Then comes a caller's cancellation, then what the trainer said itself, then whether the service or the machine is to blame. Pure.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from services.train.engines.port import UNWATCHED, Exit
from services.train.events import Failed, Failure, TrainerEvent
from services.train.jobs.lifecycle import FinalState
from services.train.jobs.record import JobRecord
from services.train.jobs.retrying import MOST_LOSSES, may_try_again, windows_after
from shared.errors import GateRejectedError, TrainerLostError
from shared.store.manifest import Manifest


@dataclass(frozen=True, slots=True)
class TrainerEnd:
    """All that is known of a trainer whose processes are gone."""

    last_word: TrainerEvent | None  # its Finished or Failed
    exit: Exit
    spoke: bool  # it said anything at all
    manifest: Manifest | None  # of this job, from the store
    service_stops: bool
    promotion_failure: Failure | None = None  # why the alias did not move to the published version


def after_trainer(job: JobRecord, end: TrainerEnd, *, now: datetime) -> JobRecord:
    """Return `job` as the end of its trainer leaves it: ended, or back in the queue."""
    if end.manifest is not None:
        return _published(job, end.manifest, end.promotion_failure, now=now)
    if job.cancel_requested:
        return job.ended("CANCELLED", now=now)
    failure = end.last_word.failure if isinstance(end.last_word, Failed) else None
    if failure is None and (end.service_stops or (end.exit == UNWATCHED and not end.spoke)):
        return job.requeued(now=now)  # the second: it died with a service that was about to let it run
    if may_try_again(job, failure.reason if failure else TrainerLostError.reason):
        return job.lost(now=now, most_windows=windows_after(job, end.exit))
    return job.ended("FAILED", now=now, failure=failure or _lost(job, end.exit))


def with_log(job: JobRecord, tail: tuple[str, ...]) -> JobRecord:
    """Return a job that FAILED with the last lines that its trainer printed; any other as it is."""
    if job.state != "FAILED" or job.failure is None:
        return job
    return replace(job, failure=job.failure.model_copy(update={"log_tail": tail}))


def _published(
    job: JobRecord, manifest: Manifest, promotion_failure: Failure | None, *, now: datetime
) -> JobRecord:
    if manifest.state == "published":
        state: FinalState = "STOPPED" if job.stopped_early else "SUCCEEDED"
        return job.ended(state, now=now, metrics=manifest.metrics, failure=promotion_failure)
    checks = ",".join(
        check.name for check in manifest.gate_checks if not check.passed and check.variant == "fp32"
    )
    error = GateRejectedError(
        f"The export gate refused {job.version} ({checks}): the exported files do not decide as the trained model does."
        " The version is kept with its report and is never served; train again, or report the base model.",
        model_version=job.version,
        checks=checks,
    )
    return job.ended("REJECTED", now=now, metrics=manifest.metrics, failure=Failure.of(error))


def _lost(job: JobRecord, exit_: Exit) -> Failure:
    if exit_.signal == "SIGKILL":
        remedy = (
            "If the machine ran out of memory, submit again with a smaller batch_size or max_tokens, or give the training "
            "service more memory."
        )
    else:
        remedy = "Its log says what it did last; submit again to retry."
    return Failure(
        reason=TrainerLostError.reason,
        message=f"The trainer process {exit_} and left neither a version nor a reason, {MOST_LOSSES} times without getting further."
        f" {remedy}",
        metadata={**exit_.metadata, "attempts": str(job.attempt)},
    )
