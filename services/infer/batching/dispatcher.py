"""Owns the one queue of windows and the runners: the asyncio shell around `policy`.

Invariants: every window that `run` takes gets exactly one outcome, or its caller has left; a caller that leaves (cancelled or
out of time) takes its waiting windows along and changes nothing for others; at most `runner_count` batches run at once.

Concurrency: everything but the model runs happens on the event loop, without locks or awaits inside. There is no loop of its
own and no polling: the dispatcher acts when windows arrive and when a runner comes free, so an idle service dispatches at once
and batches form only from what piles up meanwhile. A batch holds a pin on its lane until its thread has ended, whatever becomes
of its callers.
"""

import asyncio
import math
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.infer.batching.isolation import Poisoned, run_isolated
from services.infer.batching.outcomes import Incident, Ran
from services.infer.batching.policy import Limits, decide
from shared.errors import DeadlineExpiredError, QueueFullError
from shared.names import VersionName
from shared.runtime.classification import Logits
from shared.telemetry import metrics
from shared.telemetry.logs import get_logger

_log = get_logger()


class Window(Protocol):
    """What a model reads at once."""

    @property
    def token_count(self) -> int:
        """Its length, special tokens counted; at least 1."""


class Lane(Protocol):
    """A loaded version. Windows of one lane may share a batch."""

    @property
    def version(self) -> VersionName:
        """Its name, for logs and metrics."""

    def run(self, windows: Sequence[Any]) -> Sequence[Logits]:
        """Compute one batch; called in runner threads, several at once."""

    def pin(self) -> None:
        """Stay in memory; called on the event loop."""

    def unpin(self) -> None:
        """Undo one `pin`."""


@dataclass(slots=True)
class _Call:
    arrived_s: float
    outcomes: list[Logits | Incident | None]
    missing: int
    done: asyncio.Future[None]
    first_start_s: float = math.inf
    last_start_s: float = -math.inf

    def settle(self, place: int, outcome: Logits | Incident) -> None:
        self.outcomes[place] = outcome
        self.missing -= 1
        if self.missing == 0 and not self.done.done():
            self.done.set_result(None)


@dataclass(frozen=True, slots=True, eq=False)
class _Item:
    lane: Lane
    tokens: int
    deadline_s: float
    window: Window
    call: _Call
    place: int


@dataclass(slots=True)
class Dispatcher:
    """The queue and its runners. Made and used on one event loop; the executor belongs to the caller."""

    runners: Executor
    runner_count: int
    limits: Limits
    queue_limit_tokens: int
    _queue: dict[_Item, None] = field(
        default_factory=dict
    )  # an ordered set: arrival order, removal at any place
    _queued_tokens: int = 0
    _expected_tokens: int = 0
    _idle_runners: int = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False, default_factory=asyncio.get_running_loop)

    def __post_init__(self) -> None:
        """All runners begin idle."""
        self._idle_runners = self.runner_count

    @contextmanager
    def admitted(self, estimated_tokens: int) -> Iterator[Callable[[int], None]]:
        """Count what a call begins with as waiting, from now on. Raises QueueFullError if too much waits already.

        The block is given what changes this count: by more when the call begins further parts, by less just before `run` counts
        a part's true tokens. What it leaves is taken off at its end. A call of any size enters as long as the limit is not
        reached, so that every legal call can be answered. Since calls wait in parts of bounded size, what waits is bounded by
        the limit and the parts of the calls that have entered.
        """
        self._check_room()
        left_tokens = 0

        def expect(tokens: int) -> None:
            nonlocal left_tokens
            left_tokens += tokens
            self._count(expected=tokens)

        expect(estimated_tokens)
        try:
            yield expect
        finally:
            expect(-left_tokens)

    def _check_room(self) -> None:
        waiting = self._queued_tokens + self._expected_tokens
        if waiting >= self.queue_limit_tokens:
            raise QueueFullError(
                f"{waiting} tokens wait, the limit is {self.queue_limit_tokens}: try again later or add replicas.",
                queued_tokens=waiting,
                limit_tokens=self.queue_limit_tokens,
            )

    async def run(self, lane: Lane, windows: Sequence[Window], *, deadline_s: float = math.inf) -> Ran:
        """Run one call's windows (at least one), batched with those of others. `deadline_s` is on the loop's clock.

        Raises DeadlineExpiredError when the deadline passes before the last window is answered.
        """
        call = _Call(self._loop.time(), [None] * len(windows), len(windows), self._loop.create_future())
        items = [
            _Item(lane, window.token_count, deadline_s, window, call, place)
            for place, window in enumerate(windows)
        ]
        self._queue.update(dict.fromkeys(items))
        self._count(queued=sum(item.tokens for item in items))
        self._pump()
        try:
            async with asyncio.timeout_at(None if math.isinf(deadline_s) else deadline_s):
                await call.done
        except TimeoutError:
            self._drop(items, "expired")
            raise DeadlineExpiredError("the deadline passed before the model had answered.") from None
        except asyncio.CancelledError:
            self._drop(items, "cancelled")
            raise
        return Ran(
            tuple(outcome for outcome in call.outcomes if outcome is not None),
            queued_s=call.arrived_s,
            first_start_s=call.first_start_s,
            last_start_s=call.last_start_s,
            end_s=self._loop.time(),
        )

    def _pump(self) -> None:
        """Feed idle runners until there is nothing to run or nobody to run it."""
        while self._idle_runners and self._queue:
            now_s = self._loop.time()
            decision = decide(self._queue, now_s, limits=self.limits, idle_runners=self._idle_runners)
            self._drop(decision.expired, "expired")  # the timer of their call is due and will tell it
            if decision.batch:
                self._start(decision.batch, now_s)

    def _start(self, batch: Sequence[_Item], now_s: float) -> None:
        lane = batch[0].lane
        self._remove(batch)
        for item in batch:
            item.call.first_start_s = min(item.call.first_start_s, now_s)
            item.call.last_start_s = now_s
            metrics.QUEUE_SECONDS.observe(now_s - item.call.arrived_s)
        metrics.BATCH_WINDOWS.observe(len(batch))
        metrics.BATCH_TOKENS.labels(lane.version.model).inc(sum(item.tokens for item in batch))
        metrics.PADDED_TOKENS.labels(lane.version.model).inc(len(batch) * max(item.tokens for item in batch))
        lane.pin()
        self._idle_runners -= 1
        job = self.runners.submit(run_isolated, lane.run, [item.window for item in batch])
        job.add_done_callback(
            lambda ended: self._loop.call_soon_threadsafe(self._finish, batch, ended, now_s)
        )

    def _finish(
        self, batch: Sequence[_Item], ended: Future[list[Logits | Poisoned]], started_s: float
    ) -> None:
        lane = batch[0].lane
        lane.unpin()
        self._idle_runners += 1
        metrics.RUN_SECONDS.labels(lane.version.model).observe(self._loop.time() - started_s)
        failure = ended.exception()  # run_isolated contains every Exception; this is for what is none
        outcomes = [Poisoned(failure)] * len(batch) if failure else ended.result()
        incident = _report(lane.version, outcomes)
        for item, outcome in zip(batch, outcomes, strict=True):
            item.call.settle(item.place, incident if isinstance(outcome, Poisoned) else outcome)
        self._pump()

    def _drop(self, items: Iterable[_Item], cause: str) -> None:
        waiting = [item for item in items if item in self._queue]
        self._remove(waiting)
        metrics.DROPPED_WINDOWS.labels(cause).inc(len(waiting))

    def _remove(self, items: Sequence[_Item]) -> None:
        for item in items:
            del self._queue[item]
        self._count(queued=-sum(item.tokens for item in items))

    def _count(self, *, queued: int = 0, expected: int = 0) -> None:
        self._queued_tokens += queued
        self._expected_tokens += expected
        metrics.QUEUE_TOKENS.set(self._queued_tokens + self._expected_tokens)


def _report(version: VersionName, outcomes: Sequence[Logits | Poisoned]) -> Incident:
    """Log the faults of a batch, if any, as one incident."""
    incident = Incident(secrets.token_hex(4))
    faults = [outcome.error for outcome in outcomes if isinstance(outcome, Poisoned)]
    if faults:
        _log.error(
            "model_run_failed",
            incident=incident.id,
            model_version=str(version),
            failed_windows=len(faults),
            batch_windows=len(outcomes),
            exc_info=faults[0],
        )
    return incident
