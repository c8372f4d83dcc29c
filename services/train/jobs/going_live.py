"""A job's last mile: its version on every inference server that its caller named, or the alias back where it was.

Runs in the event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Final

from services.train.events import Failure
from services.train.jobs.record import JobRecord, RolloutProgress
from services.train.rollout.deciding import Verdict
from services.train.rollout.outcomes import Failed, Outcome, Superseded
from services.train.rollout.rollout import Rollout
from services.train.rollout.target import parse_target
from shared.errors import AliasConflictError, RolloutFailedError
from shared.names import VersionName
from shared.store.models import ModelStore

_INTERVAL_S: Final = 0.1

Record = Callable[[RolloutProgress], Awaitable[object]]


class GoingLive:
    """Follows the versions of jobs."""

    def __init__(self, models: ModelStore, threads: Executor, *, patience_s: float) -> None:
        """Servers have `patience_s` to take a version up."""
        self._rollout = Rollout(models, threads)
        self._patience_s = patience_s

    async def follow(self, job: JobRecord, record: Record, end: asyncio.Event) -> Failure | None:
        """Return why a promoted job's version did not go live, None if it did. If somebody has moved the alias on, that is why.

        Whenever the number of servers changes that have it, `record` writes that down. May be repeated at any time. Raises
        InterruptedError once `end` is set, StoreUnavailableError, ArtifactCorruptError, and what `record` raises.
        """
        newest: RolloutProgress | None = None

        def hear(verdict: Verdict) -> None:
            nonlocal newest
            newest = RolloutProgress(verdict.live, verdict.addresses)

        following = asyncio.create_task(self._follow(job, hear), name=f"roll out {job.id}")
        told = job.rollout
        try:
            while not following.done():
                if end.is_set():
                    raise InterruptedError
                if newest is not None and newest != told:
                    told = newest
                    await record(newest)
                await asyncio.wait({following}, timeout=_INTERVAL_S)
        finally:
            following.cancel()
            await asyncio.wait({following})  # it may be moving the alias back
        if newest is not None and newest != told:
            await record(newest)
        outcome = following.result()
        if isinstance(outcome, Superseded):
            return Failure.of(_superseded(job, outcome))
        return Failure.of(outcome.error()) if isinstance(outcome, Failed) else None

    async def _follow(self, job: JobRecord, hear: Callable[[Verdict], None]) -> Outcome:
        return await self._rollout.follow(
            VersionName.parse(job.version),
            job.promote_to,
            parse_target(job.inference_target),
            job_id=job.id,
            patience_s=self._patience_s,
            on_progress=hear,
        )


def _superseded(job: JobRecord, outcome: Superseded) -> AliasConflictError:
    by = f" to {outcome.by}" if outcome.by else ""
    alias = f"{job.spec.model}@{job.promote_to}"
    return AliasConflictError(
        f"Somebody moved {alias}{by} while {job.version} was going live; it stays where it was moved to.",
        model=job.spec.model,
        alias=job.promote_to,
    )


def cancelled(job: JobRecord) -> Failure:
    """What a job is told that was cancelled when its version was published already."""
    alias = f"{job.spec.model}@{job.promote_to}"
    if job.state != "ROLLING_OUT":
        what = f"The job was cancelled when {job.version} was published already; {alias} was not moved to it."
    else:
        what = f"The job was cancelled as it waited for {job.version} to go live: look where {alias} points and what servers answer with."
    return Failure.of(RolloutFailedError(what, [], model_version=job.version, alias=job.promote_to))
