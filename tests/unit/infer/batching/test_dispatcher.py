"""The dispatcher on a virtual clock, with runners that take a told time."""

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from services.infer.batching.dispatcher import Dispatcher, Logits
from services.infer.batching.outcomes import Incident, Ran
from services.infer.batching.policy import Limits
from shared.errors import DeadlineExpiredError, QueueFullError
from shared.names import VersionName

pytestmark = pytest.mark.looptime


@dataclass(frozen=True)
class Window:
    value: int
    token_count: int = 8


class Lane:
    """Answers each window with its value; raises if a batch holds a poisoned one."""

    def __init__(self, poison: int | None = None) -> None:
        self.version = VersionName("banking", 7)
        self.poison = poison
        self.batches: list[list[int]] = []
        self.pins = 0

    def run(self, windows: Sequence[Window]) -> list[Logits]:
        assert self.pins > 0
        self.batches.append([window.value for window in windows])
        if self.poison in self.batches[-1]:
            raise ValueError("poison")
        return [np.array([window.value], dtype=np.float32) for window in windows]

    def pin(self) -> None:
        self.pins += 1

    def unpin(self) -> None:
        self.pins -= 1


class VirtualRunners(Executor):
    """Threads without threads: a submitted job ends `run_s` later on the loop's clock."""

    def __init__(self, run_s: float = 1.0) -> None:
        self.run_s = run_s

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        job: Future[Any] = Future()
        asyncio.get_running_loop().call_later(self.run_s, lambda: job.set_result(fn(*args, **kwargs)))
        return job


def _dispatcher(
    *, runners: Executor | None = None, runner_count: int = 1, queue_limit_tokens: int = 10_000
) -> Dispatcher:
    limits = Limits(batch_tokens=256, padding_ratio=1.25)
    return Dispatcher(runners or VirtualRunners(), runner_count, limits, queue_limit_tokens)


def _values(ran: Ran) -> list[float]:
    return [math.nan if isinstance(outcome, Incident) else float(outcome[0]) for outcome in ran.outcomes]


def _has_room(dispatcher: Dispatcher) -> bool:
    try:
        with dispatcher.admitted(1):
            return True
    except QueueFullError:
        return False


def _windows(*values: int) -> list[Window]:
    return [Window(value) for value in values]


async def test_a_cancelled_caller_never_changes_its_batch_mates_answers() -> None:
    """Callers that leave before, or while, their batch runs take nobody else's answer along."""
    dispatcher, lane = _dispatcher(), Lane()
    running = asyncio.create_task(dispatcher.run(lane, _windows(1)))
    await asyncio.sleep(0)
    leaves_during = asyncio.create_task(dispatcher.run(lane, _windows(5)))
    stays = asyncio.create_task(dispatcher.run(lane, _windows(2, 3)))
    leaves_before = asyncio.create_task(dispatcher.run(lane, _windows(4)))
    await asyncio.sleep(0.5)
    leaves_before.cancel()
    await asyncio.sleep(1)
    leaves_during.cancel()
    assert _values(await running) == [1]
    assert _values(await stays) == [2, 3]
    assert lane.batches == [[1], [5, 2, 3]]
    assert leaves_before.cancelled()
    assert leaves_during.cancelled()
    assert lane.pins == 0


async def test_an_idle_service_dispatches_at_once(looptime: Any) -> None:
    """Nothing waits for company: one window takes the time of one run."""
    ran = await _dispatcher().run(Lane(), _windows(1))
    assert looptime == 1.0
    assert (ran.queued_s, ran.first_start_s, ran.last_start_s, ran.end_s) == (0, 0, 0, 1)


async def test_what_piles_up_while_busy_becomes_one_batch() -> None:
    """Ten callers that arrive during a run share the next one, and each gets its own answer."""
    dispatcher, lane = _dispatcher(), Lane()
    first = asyncio.create_task(dispatcher.run(lane, _windows(0)))
    await asyncio.sleep(0.1)
    others = [asyncio.create_task(dispatcher.run(lane, _windows(value))) for value in range(1, 11)]
    assert _values(await first) == [0]
    assert [_values(await task) for task in others] == [[value] for value in range(1, 11)]
    assert [len(batch) for batch in lane.batches] == [1, 10]


async def test_timing_tells_queue_and_run_apart() -> None:
    """A caller that waits 0.9 s for a runner and 1 s for its run is told so."""
    dispatcher, lane = _dispatcher(), Lane()
    busy = asyncio.create_task(dispatcher.run(lane, _windows(0)))
    await asyncio.sleep(0.1)
    ran = await dispatcher.run(lane, _windows(1))
    assert (ran.queued_s, ran.first_start_s, ran.end_s) == pytest.approx((0.1, 1, 2))
    await busy


async def test_an_expired_window_never_reaches_the_model(looptime: Any) -> None:
    """A caller whose deadline passes in the queue is told at that moment, not when a runner comes free."""
    dispatcher, lane = _dispatcher(), Lane()
    busy = asyncio.create_task(dispatcher.run(lane, _windows(0)))
    await asyncio.sleep(0)
    with pytest.raises(DeadlineExpiredError):
        await dispatcher.run(lane, _windows(1), deadline_s=asyncio.get_running_loop().time() + 0.3)
    assert looptime == pytest.approx(0.3)
    await busy
    assert lane.batches == [[0]]


async def test_a_deadline_that_has_passed_already_never_reaches_an_idle_model() -> None:
    """An idle runner is no reason to run what nobody waits for."""
    dispatcher, lane = _dispatcher(), Lane()
    await asyncio.sleep(5)
    with pytest.raises(DeadlineExpiredError):
        await dispatcher.run(lane, _windows(1), deadline_s=1.0)
    assert lane.batches == []


async def test_a_full_queue_refuses_at_once_and_recovers() -> None:
    """At the limit on waiting tokens callers get QUEUE_FULL with a delay to retry; when the queue drains they enter."""
    dispatcher, lane = _dispatcher(queue_limit_tokens=16), Lane()
    tasks = []
    for value in range(3):  # one runs, two wait: 16 tokens
        with dispatcher.admitted(8):
            pass
        tasks.append(asyncio.create_task(dispatcher.run(lane, _windows(value))))
        await asyncio.sleep(0)
    with pytest.raises(QueueFullError) as caught, dispatcher.admitted(8):
        pass
    assert caught.value.metadata == {"queued_tokens": "16", "limit_tokens": "16"}
    assert caught.value.retry_after_ms
    await asyncio.gather(*tasks)
    with dispatcher.admitted(8):
        pass


async def test_texts_that_are_being_tokenized_count_as_waiting() -> None:
    """Memory is bounded before the queue as well as in it: a call counts from its entry, its parts leave the count and join it
    one by one, and a call that leaves, whenever, gives all its room back.
    """
    dispatcher = _dispatcher(queue_limit_tokens=16)
    with suppress(ZeroDivisionError), dispatcher.admitted(1_000_000) as expect:
        assert not _has_room(dispatcher)
        expect(-999_999)
        assert _has_room(dispatcher)
        expect(15)
        assert not _has_room(dispatcher)
        raise ZeroDivisionError
    assert _has_room(dispatcher)


async def test_a_cancelled_caller_gives_its_room_back() -> None:
    """Windows that leave the queue by cancellation no longer count."""
    dispatcher, lane = _dispatcher(queue_limit_tokens=8), Lane()
    busy = asyncio.create_task(dispatcher.run(lane, _windows(0)))
    waits = asyncio.create_task(dispatcher.run(lane, _windows(1)))
    await asyncio.sleep(0)
    assert not _has_room(dispatcher)
    waits.cancel()
    await asyncio.sleep(0)
    assert _has_room(dispatcher)
    await busy


async def test_a_poisoned_window_fails_alone() -> None:
    """The run of a batch raises: only the guilty window gets an incident, its batch-mates their answers."""
    dispatcher, lane = _dispatcher(), Lane(poison=13)
    busy = asyncio.create_task(dispatcher.run(lane, _windows(0)))
    await asyncio.sleep(0)
    good = asyncio.create_task(dispatcher.run(lane, _windows(1, 2, 3)))
    mixed = asyncio.create_task(dispatcher.run(lane, _windows(4, 13, 5)))
    assert _values(await good) == [1, 2, 3]
    assert _values(await mixed) == pytest.approx([4, math.nan, 5], nan_ok=True)
    await busy
    assert lane.pins == 0


async def test_a_runner_that_breaks_beyond_every_exception_answers_and_comes_back() -> None:
    """Even what is no Exception in a runner hangs nobody and loses no runner."""

    class Breaking(VirtualRunners):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            job: Future[Any] = Future()
            asyncio.get_running_loop().call_later(1, lambda: job.set_exception(SystemExit(1)))
            return job

    dispatcher = _dispatcher(runners=Breaking())
    for _ in range(2):
        assert _values(await dispatcher.run(Lane(), _windows(1))) == pytest.approx([math.nan], nan_ok=True)


async def test_runners_work_side_by_side(looptime: Any) -> None:
    """Two runners take one call's two windows at the same time."""
    ran = await _dispatcher(runner_count=2).run(Lane(), _windows(1, 2))
    assert _values(ran) == [1, 2]
    assert looptime == 1.0


async def test_lanes_take_turns_by_age() -> None:
    """A lane with many windows does not keep another lane's older window waiting."""
    dispatcher, many, one = _dispatcher(), Lane(), Lane()
    tasks = [asyncio.create_task(dispatcher.run(many, _windows(0)))]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(dispatcher.run(one, _windows(1))))
    tasks += [asyncio.create_task(dispatcher.run(many, _windows(*range(2, 90)))) for _ in range(3)]
    await tasks[1]
    assert len(many.batches) == 1
    await asyncio.gather(*tasks)


async def test_a_storm_of_leaving_callers_loses_nothing() -> None:
    """Of 300 callers in three lanes a third leaves at random moments; every other one gets exactly its own answers."""
    lanes = [Lane(), Lane(), Lane()]
    dispatcher = _dispatcher(runners=VirtualRunners(0.2), runner_count=2)
    tasks = {}
    for number in range(300):
        values = [number * 10 + place for place in range(number % 5 + 1)]
        tasks[asyncio.create_task(dispatcher.run(lanes[number % 3], _windows(*values)))] = (number, values)
        await asyncio.sleep(0.001 * (number % 7))
        if number % 3 == 2:
            leaver = next(task for task, (other, _) in tasks.items() if other == number - number % 11)
            leaver.cancel()
    for task, (_, values) in tasks.items():
        try:
            assert _values(await task) == values
        except asyncio.CancelledError:
            assert task.cancelled()
    assert [lane.pins for lane in lanes] == [0, 0, 0]
    assert dispatcher._queued_tokens == 0  # the gauge of the same number would be shared between tests
