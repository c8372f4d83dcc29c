"""Owns the one queue of windows and the runners: the asyncio shell around `policy`.

Invariants: every window that `run` takes gets exactly one outcome, or its caller has left; a caller that leaves (cancelled or
out of time) takes its waiting windows along and changes nothing for others; at most `runner_count` batches run at once, and
`most_ahead` more are handed over.

Concurrency: everything but the model runs happens on the event loop, without locks or awaits inside. There is no loop of its
own and no polling: the dispatcher acts when windows arrive and when a runner comes free, so an idle service dispatches at once
and batches form only from what piles up meanwhile. A batch pins the versions that read it until its thread has ended, whatever
becomes of its callers.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

from services.infer.batching.admission import Backlog
from services.infer.batching.bulk_door import BulkDoor
from services.infer.batching.isolation import IsolatedRun, Poisoned
from services.infer.batching.items import Batch, Call, Computed, Item, Reader, Work
from services.infer.batching.outcomes import Ran
from services.infer.batching.policy import Limits, decide
from services.infer.batching.queue import WindowQueue
from services.infer.batching.reporting import told
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
    most_ahead: int = 0  # batches that are handed over while all runners are busy
    # The loop's clock, or a finer one of the same time.
    clock: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)
    # Called for those who read a window that failed even alone.
    on_fault: Callable[[Reader], None] = lambda _: None
    _queue: WindowQueue[Item] = field(init=False, default_factory=WindowQueue)
    _backlog: Backlog = field(init=False)
    _door: BulkDoor = field(init=False)
    _ahead: deque[Batch] = field(init=False, default_factory=deque)  # handed over, and not begun
    _running: set[Batch] = field(init=False, default_factory=set)
    _loop: asyncio.AbstractEventLoop = field(init=False, default_factory=asyncio.get_running_loop)

    def __post_init__(self) -> None:
        """Nothing waits or runs."""
        self._backlog = Backlog(limit_tokens=self.queue_limit_tokens, runners=self.runner_count)
        self._door = BulkDoor(lambda: self._backlog.has_room_for_bulk)
        metrics.QUEUE_TOKENS.set_function(lambda: self._backlog.tokens)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return not self._running and not self._queue

    @property
    def _free_runners(self) -> int:
        return self.runner_count - len(self._running)

    @property
    def longest_run_s(self) -> float:
        """For how long the run has been going that began first; 0 if nothing runs."""
        return max((self.clock() - batch.started_s for batch in self._running), default=0.0)

    def admitted(
        self,
        reader: Reader,
        estimated_tokens: int,
        *,
        later_tokens: int = 0,
        deadline_s: float = math.inf,
        is_bulk: bool = False,
    ) -> "Admitted":
        """Let a call wait, which begins with so many tokens and brings so many later. Raises QueueFullError, DeadlineExpiredError."""
        model, token_ms = reader.version.model, reader.lane.cost.token_ms
        self._backlog.check(
            model,
            own_ms=(estimated_tokens + later_tokens) * token_ms,
            now_s=self.clock(),
            deadline_s=deadline_s,
            is_bulk=is_bulk,
        )
        return Admitted(self._backlog, self._door.let_in, model, token_ms, estimated_tokens, is_bulk)

    async def room_for_bulk(self) -> None:
        """Wait until bulk may join what waits; the caller is admitted before it awaits anything else."""
        await self._door.wait()

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
        now_s = self.clock()
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
            end_s=self.clock(),
            largest_batch=call.largest_batch,
            padded_tokens=call.padded_tokens,
        )

    def _pump(self) -> None:
        """Feed runners until there is nothing to run or nobody to run it.

        While all are busy `most_ahead` batches are handed over ahead, if what waits fills a batch anyway: then no runner waits for
        the event loop, and no batch is smaller for it.
        """
        while self._queue and (
            self._free_runners > 0
            or (len(self._ahead) < self.most_ahead and self._queue.tokens >= self.limits.batch_tokens)
        ):
            now_s = self.clock()
            decision = decide(self._queue, now_s, limits=self.limits, idle_runners=max(1, self._free_runners))
            self._count(decision.expired, -1)
            for item in decision.expired:
                metrics.DROPPED_WINDOWS.labels("expired").inc()
                item.call.expire()
            if decision.batch:
                self._count(decision.batch, -1)
                self._hand_over(Batch(decision.batch, others_wait=bool(self._queue)), now_s)

    def _hand_over(self, batch: Batch, now_s: float) -> None:
        for reader in batch.readers:
            reader.pin()
        if self._free_runners:
            self._start(batch, now_s)
        else:
            self._ahead.append(batch)
        lane = batch.items[0].work[1][0].lane
        run = IsolatedRun(lane.begin, [item.work for item in batch.items])
        job = self.runners.submit(run.compute)
        job.add_done_callback(lambda ended: self._loop.call_soon_threadsafe(self._finish, batch, run, ended))

    def _finish(self, batch: Batch, run: IsolatedRun[Work, Computed], ended: Future[None]) -> None:
        for reader in batch.readers:
            reader.unpin()
        now_s = self.clock()
        self._running.remove(batch)
        if self._ahead:
            self._start(self._ahead.popleft(), now_s)
        took_ms = 1000 * (now_s - batch.started_s)
        if run.is_whole:  # the halves of a batch that failed tell nothing of those to come
            self._backlog.note_run(expected_ms=batch.least_ms, took_ms=took_ms, others_wait=batch.others_wait)
        metrics.child(metrics.RUN_SECONDS, batch.items[0].model).observe(took_ms / 1000)
        self._pump()  # the runner's next batch first: what follows takes longer
        failure = ended.exception()  # a run contains every Exception; this is for what is none
        outcomes = [Poisoned(failure)] * len(batch.items) if failure else run.outcomes()
        failed = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Poisoned)]
        for reader in {reader: None for number in failed for reader in batch.items[number].work[1]}:
            self.on_fault(reader)
        self._door.let_in()
        for item, outcome in zip(batch.items, told(batch.items, outcomes), strict=True):
            item.call.settle(item.number, outcome)

    def _start(self, batch: Batch, now_s: float) -> None:
        batch.start(now_s)
        self._running.add(batch)

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
