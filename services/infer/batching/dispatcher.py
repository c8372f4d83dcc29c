"""Owns the one queue of windows and the runners: the asyncio shell around `policy`.

Invariants: every window that `run` takes gets exactly one outcome, or its caller has left; a caller that leaves (cancelled or
out of time) takes its waiting windows along and changes nothing for others; at most `runner_count` batches run at once.

Concurrency: everything but the model runs happens on the event loop, without locks or awaits inside. There is no loop of its
own and no polling: the dispatcher acts when windows arrive and when a runner comes free, so an idle service dispatches at once
and batches form only from what piles up meanwhile. A batch pins the versions that read it until its thread has ended, whatever
becomes of its callers.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

from services.infer.batching.admission import Backlog
from services.infer.batching.isolation import Poisoned, run_isolated
from services.infer.batching.items import Call, Computed, Item, Reader
from services.infer.batching.outcomes import Ran
from services.infer.batching.policy import Limits, decide
from services.infer.batching.queue import WindowQueue
from services.infer.batching.reporting import observe, told
from shared.errors import DeadlineExpiredError
from shared.runtime.windows import Window
from shared.telemetry import metrics


@dataclass(slots=True)
class Admitted:
    """Counts what a call is expected to bring as waiting, from the `with` block's begin to its end.

    The block is given what changes this count: by more when the call begins further parts, by less just before `run` counts a
    part's true tokens. Since calls wait in parts of bounded size, what waits is bounded by the limit and the parts of the calls
    that have entered.
    """

    backlog: Backlog
    on_left: Callable[[], None]
    model: str
    token_ms: float
    tokens: int
    is_bulk: bool

    def __enter__(self) -> Callable[[int], None]:
        self.backlog.change(self.model, self.tokens, self.token_ms, is_bulk=self.is_bulk)
        return self.expect

    def expect(self, tokens: int) -> None:
        """Expect more, or fewer if negative."""
        self.tokens += tokens
        self.backlog.change(self.model, tokens, self.token_ms, is_bulk=self.is_bulk)

    def __exit__(self, *_: object) -> None:
        self.expect(-self.tokens)
        self.on_left()


@dataclass(slots=True)
class Dispatcher:
    """The queue and its runners. Made and used on one event loop; the executor belongs to the caller."""

    runners: Executor
    runner_count: int
    limits: Limits
    queue_limit_tokens: int
    on_fault: Callable[[Reader], None] = lambda _: None  # called for those who read a batch that has failed
    _queue: WindowQueue[Item] = field(init=False, default_factory=WindowQueue)
    _backlog: Backlog = field(init=False)
    _bulk_waits: list[asyncio.Future[None]] = field(init=False, default_factory=list)
    _idle_runners: int = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False, default_factory=asyncio.get_running_loop)

    def __post_init__(self) -> None:
        """All runners begin idle."""
        self._idle_runners = self.runner_count
        self._backlog = Backlog(limit_tokens=self.queue_limit_tokens, runners=self.runner_count)
        metrics.QUEUE_TOKENS.set_function(lambda: self._backlog.tokens)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return self._idle_runners == self.runner_count and not self._queue

    def admitted(
        self,
        reader: Reader,
        estimated_tokens: int,
        *,
        deadline_s: float = math.inf,
        is_bulk: bool = False,
    ) -> "Admitted":
        """Let a call wait, which begins with so many tokens. Raises QueueFullError, DeadlineExpiredError."""
        model, token_ms = reader.version.model, reader.lane.cost.token_ms
        self._backlog.check(
            model,
            own_ms=estimated_tokens * token_ms,
            now_s=self._loop.time(),
            deadline_s=deadline_s,
            is_bulk=is_bulk,
        )
        return Admitted(self._backlog, self._let_bulk_in, model, token_ms, estimated_tokens, is_bulk)

    async def room_for_bulk(self) -> None:
        """Wait until bulk may join what waits."""
        while not self._backlog.has_room_for_bulk:
            room = self._loop.create_future()
            self._bulk_waits.append(room)
            await room

    async def run(
        self,
        readers: Sequence[Reader],
        windows: Sequence[Window],
        *,
        deadline_s: float = math.inf,
        is_bulk: bool = False,
    ) -> Ran:
        """Run one call's windows (at least one) for `readers`, at least one and all of one lane, batched with those of others.

        `deadline_s` is on the loop's clock. Raises DeadlineExpiredError when the deadline passes before the last window is
        answered, or as soon as it cannot be met any more.
        """
        now_s = self._loop.time()
        call = Call(now_s, [None] * len(windows), len(windows), self._loop.create_future(), is_bulk)
        lane, model = readers[0].lane, readers[0].version.model
        items = [
            Item(lane, model, window.token_count, now_s, deadline_s, is_bulk, (window, readers), call, number)
            for number, window in enumerate(windows)
        ]
        for item in items:
            self._queue.add(item)
        self._count(items, 1)
        timer = None if math.isinf(deadline_s) else self._loop.call_at(deadline_s, call.expire)
        self._pump()
        try:
            await call.done
        except DeadlineExpiredError:
            self._drop(items, "expired")
            raise
        except asyncio.CancelledError:
            self._drop(items, "cancelled")
            raise
        finally:
            if timer is not None:
                timer.cancel()
        return Ran(
            tuple(outcome for outcome in call.outcomes if outcome is not None),
            queued_s=call.arrived_s,
            first_start_s=call.first_start_s,
            last_start_s=call.last_start_s,
            end_s=self._loop.time(),
            largest_batch=call.largest_batch,
            padded_tokens=call.padded_tokens,
        )

    def _pump(self) -> None:
        """Feed idle runners until there is nothing to run or nobody to run it."""
        while self._idle_runners and self._queue:
            now_s = self._loop.time()
            decision = decide(self._queue, now_s, limits=self.limits, idle_runners=self._idle_runners)
            self._count(decision.expired, -1)
            for item in decision.expired:
                metrics.DROPPED_WINDOWS.labels("expired").inc()
                item.call.expire()
            if decision.batch:
                self._count(decision.batch, -1)
                self._start(decision.batch, now_s, decision.predicted_ms)

    def _start(self, batch: Sequence[Item], now_s: float, predicted_ms: float) -> None:
        longest = batch[-1].tokens
        for item in batch:
            call = item.call
            call.first_start_s = min(call.first_start_s, now_s)
            call.last_start_s = now_s
            call.largest_batch = max(call.largest_batch, len(batch))
            call.padded_tokens += longest
        observe(batch, now_s)
        readers = {reader: None for item in batch for reader in item.work[1]}
        for reader in readers:
            reader.pin()
        self._idle_runners -= 1
        lane = batch[0].work[1][0].lane
        job = self.runners.submit(run_isolated, lane.run, [item.work for item in batch])
        job.add_done_callback(
            lambda ended: self._loop.call_soon_threadsafe(
                self._finish, batch, readers, ended, now_s, predicted_ms
            )
        )

    def _finish(
        self,
        batch: Sequence[Item],
        readers: Iterable[Reader],
        ended: Future[list[Computed | Poisoned]],
        started_s: float,
        predicted_ms: float,
    ) -> None:
        for reader in readers:
            reader.unpin()
        self._idle_runners += 1
        took_s = self._loop.time() - started_s
        self._backlog.note_run(predicted_ms=predicted_ms, took_ms=1000 * took_s)
        metrics.child(metrics.RUN_SECONDS, batch[0].model).observe(took_s)
        failure = ended.exception()  # run_isolated contains every Exception; this is for what is none
        outcomes = [Poisoned(failure)] * len(batch) if failure else ended.result()
        if any(isinstance(outcome, Poisoned) for outcome in outcomes):
            for reader in readers:
                self.on_fault(reader)
        self._pump()  # the runner's next batch first: answering takes longer
        self._let_bulk_in()
        for item, outcome in zip(batch, told(batch, outcomes), strict=True):
            item.call.settle(item.number, outcome)

    def _let_bulk_in(self) -> None:
        waits, self._bulk_waits = self._bulk_waits, []
        for room in waits:
            if not room.done():
                room.set_result(None)

    def _drop(self, items: Iterable[Item], cause: str) -> None:
        waiting = self._queue.remove(items)
        self._count(waiting, -1)
        metrics.DROPPED_WINDOWS.labels(cause).inc(len(waiting))

    def _count(self, items: Sequence[Item], sign: int) -> None:
        if items:
            tokens = sum(item.tokens for item in items)
            first = items[0]
            model, lane, is_bulk = first.model, first.lane, first.call.is_bulk
            if all(
                item.model is model and item.lane is lane and item.call.is_bulk is is_bulk for item in items
            ):
                self._backlog.change(model, sign * tokens, lane.cost.token_ms, is_bulk=is_bulk)
                return
            for item in items:
                token_ms = item.lane.cost.token_ms
                self._backlog.change(item.model, sign * item.tokens, token_ms, is_bulk=item.call.is_bulk)
