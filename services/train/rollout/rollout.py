"""Follows a version from its alias's move until every inference server answers with it, or moves the alias back.

Invariant: `follow` may be repeated at any time, by a service that takes over from one that died as well: what the store says of the alias
is looked at first, a rollback is found by its record, and what is decided is decided anew from what the servers say now.
Concurrency: one task for each call; the store is asked in threads, servers on the event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

from services.train.rollout.asking import ask_all
from services.train.rollout.deciding import PATIENCE_S, Verdict, decide, is_live
from services.train.rollout.outcomes import Failed, Live, Outcome, Superseded
from services.train.rollout.resolving import Resolved, resolve
from services.train.rollout.rollback import PromotedAlias
from services.train.rollout.snapshots import Look, Snapshot
from services.train.rollout.target import Target
from shared.errors import ArtifactCorruptError, StoreUnavailableError
from shared.names import AliasName, VersionName
from shared.store.aliases import AliasRecord
from shared.store.models import ModelStore
from shared.telemetry.logs import get_logger

LOOK_INTERVAL_S: Final = 1.0
_STORE_PATIENCE_S: Final = 5.0  # of a look, for what the store says of the alias

_log = get_logger()

T = TypeVar("T")
_Ended = Failed | Superseded | None
Resolve = Callable[[Target], Awaitable[Resolved]]
Ask = Callable[[Iterable[str], AliasName], Awaitable[tuple[Snapshot, ...]]]


class Rollout:
    """Follows versions. One for a service; any number of calls at once."""

    def __init__(
        self,
        models: ModelStore,
        threads: Executor,
        *,
        resolve: Resolve = resolve,
        ask: Ask = ask_all,
        look_interval_s: float = LOOK_INTERVAL_S,
    ) -> None:
        """`models` holds the aliases and is asked in `threads`; servers are looked at every `look_interval_s`."""
        self._models = models
        self._threads = threads
        self._resolve = resolve
        self._ask = ask
        self._look_interval_s = look_interval_s

    async def follow(
        self,
        version: VersionName,
        alias: str,
        target: Target,
        *,
        job_id: str,
        patience_s: float = PATIENCE_S,
        on_progress: Callable[[Verdict], None] = lambda _: None,
    ) -> Outcome:
        """Return how the rollout of `version` has ended; the alias has been moved to it, as a rule by `job_id`.

        Patience counts from this call. `on_progress` hears of every look that differs from the one before. Raises StoreUnavailableError if
        the store cannot be read at the beginning or written at the end: call again.
        """
        name = AliasName(version.model, alias)
        promoted = PromotedAlias(self._models, version, name, job_id)
        promotion = await self._in_thread(promoted.begin)
        if not isinstance(promotion, AliasRecord):
            return _told(promotion, job_id)
        alias_watch = _AliasWatch(self._in_thread, promoted, promotion)
        began_s = asyncio.get_running_loop().time()
        last: Verdict | None = None
        while True:
            ended, points_to = await alias_watch.look()
            if ended is not None:
                return _told(ended, job_id)
            look = await self._look(target, name)
            waited_s = asyncio.get_running_loop().time() - began_s
            verdict = decide(
                version, look, alias_points_to=points_to, waited_s=waited_s, patience_s=patience_s
            )
            if verdict != last:
                _log.info(
                    "rollout", job=job_id, state=verdict.state, live=verdict.live, addresses=verdict.addresses
                )
                on_progress(verdict)
                last = verdict
            match verdict.state:
                case "LIVE":
                    return _told(_live(version, promotion, look), job_id)
                case "SUPERSEDED":
                    return _told(Superseded(version, None), job_id)
                case "BROKEN" | "TIMED_OUT":
                    why = _why(verdict, patience_s)
                    end = partial(promoted.roll_back, promotion, why, verdict.problems)
                    return _told(await self._done_whole(end), job_id)
            await asyncio.sleep(self._look_interval_s)

    async def _look(self, target: Target, alias: AliasName) -> Look:
        resolved = await self._resolve(target)
        return Look(await self._ask(resolved.addresses, alias), resolved.unresolved)

    async def _done_whole(self, work: Callable[[], T]) -> T:
        """Whoever cancels this learns that it is over when it is: a thread that moves an alias cannot be called back."""
        moving = self._in_thread(work)
        try:
            return await asyncio.shield(moving)
        except asyncio.CancelledError:
            await asyncio.wait({moving})
            raise

    def _in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.wrap_future(self._threads.submit(work))


class _AliasWatch:
    """Asks the store whether an alias has moved, by one question at a time: a store that hangs holds up no look, and one thread only."""

    def __init__(
        self,
        in_thread: Callable[[Callable[[], _Ended]], asyncio.Future[_Ended]],
        promoted: PromotedAlias,
        promotion: AliasRecord,
    ) -> None:
        self._begin = partial(in_thread, partial(promoted.since, promotion))
        self._version = promoted.version
        self._question: asyncio.Future[_Ended] | None = None

    async def look(self) -> tuple[_Ended, VersionName | None]:
        """Return how a move since the promotion has ended the rollout, if one has, and where the alias points, if that can be read."""
        question = self._question = self._question or self._begin()
        await asyncio.wait((question,), timeout=_STORE_PATIENCE_S)
        if not question.done():
            return None, None
        self._question = None
        try:
            return question.result(), self._version
        except (StoreUnavailableError, ArtifactCorruptError):
            return None, None


def _live(version: VersionName, promotion: AliasRecord, look: Look) -> Live:
    addresses = tuple(each.address for each in look.snapshots if is_live(version, each))
    golden_examples = min(each.golden_examples for each in look.snapshots)
    seconds = (datetime.now(UTC) - promotion.time).total_seconds()
    return Live(version, addresses, golden_examples, max(0.0, seconds))


def _why(verdict: Verdict, patience_s: float) -> str:
    if verdict.state == "BROKEN":
        return f"it was refused at {len(verdict.problems)} of {verdict.addresses} addresses."
    if not verdict.addresses:
        return f"its inference target stood for no address for {patience_s:g} s."
    return f"{verdict.live} of {verdict.addresses} addresses answered with it after {patience_s:g} s."


def _told(outcome: Outcome, job_id: str) -> Outcome:
    """Write the end to the log."""
    version = str(outcome.version)
    match outcome:
        case Live():
            _log.info(
                "rollout_live",
                job=job_id,
                model_version=version,
                addresses=len(outcome.addresses),
                seconds=round(outcome.seconds, 3),
            )
        case Superseded():
            by = str(outcome.by or "")
            _log.info("rollout_superseded", job=job_id, model_version=version, by=by)
        case Failed():
            back_to = str(outcome.back_to or "")
            _log.warning(
                "rollout_failed", job=job_id, model_version=version, back_to=back_to, message=outcome.why
            )
    return outcome
