"""Callers that leave, come too late or are too many: nothing of theirs runs, and nobody else is the worse for it."""

import asyncio
import math
from contextlib import suppress
from typing import Any

import pytest

from services.infer.batching.admission import CAUTION
from services.infer.batching.dispatcher import Dispatcher
from shared.errors import DeadlineExpiredError, QueueFullError
from tests.unit.infer.batching.grids import per_token
from tests.unit.infer.batching.virtual import (
    FakeWindow,
    Reader,
    VirtualRunners,
    dispatcher,
    reader,
    values,
    windows,
)

pytestmark = pytest.mark.looptime


def _has_room(engine: Dispatcher, version: Reader) -> bool:
    try:
        with engine.admitted(version, 1):
            return True
    except QueueFullError:
        return False


async def test_a_cancelled_caller_never_changes_its_batch_mates_answers() -> None:
    """Callers that leave before, or while, their batch runs take nobody else's answer along."""
    engine, version = dispatcher(), reader()
    running = asyncio.create_task(engine.run((version,), windows(1)))
    await asyncio.sleep(0)
    leaves_during = asyncio.create_task(engine.run((version,), windows(5)))
    stays = asyncio.create_task(engine.run((version,), windows(2, 3)))
    leaves_before = asyncio.create_task(engine.run((version,), windows(4)))
    await asyncio.sleep(0.5)
    leaves_before.cancel()
    await asyncio.sleep(1)
    leaves_during.cancel()
    assert values(await running) == [1]
    assert values(await stays) == [2, 3]
    assert version.lane.batches == [[1], [5, 2, 3]]
    assert leaves_before.cancelled()
    assert leaves_during.cancelled()
    assert version.pins == 0


async def test_a_version_stays_pinned_until_its_thread_has_ended() -> None:
    """Whatever becomes of the callers."""
    engine, version = dispatcher(), reader()
    caller = asyncio.create_task(engine.run((version,), windows(1)))
    await asyncio.sleep(0.5)
    caller.cancel()
    await asyncio.sleep(0.4)
    assert version.pins == 1
    await asyncio.sleep(0.2)
    assert version.pins == 0


async def test_an_expired_window_never_reaches_the_model(looptime: Any) -> None:
    """A caller whose deadline passes in the queue is told at that moment, not when a runner comes free."""
    engine, version = dispatcher(), reader()
    busy = asyncio.create_task(engine.run((version,), windows(0)))
    await asyncio.sleep(0)
    with pytest.raises(DeadlineExpiredError):
        await engine.run((version,), windows(1), deadline_s=asyncio.get_running_loop().time() + 0.3)
    assert looptime == pytest.approx(0.3)
    await busy
    assert version.lane.batches == [[0]]


async def test_a_deadline_that_passes_amid_a_run_is_told_at_once(looptime: Any) -> None:
    """When runs take longer than the lane says; the batch-mates get their answers and the runner comes back."""
    engine, version = dispatcher(runners=VirtualRunners(5.0)), reader()
    mate = asyncio.create_task(engine.run((version,), windows(1)))
    await asyncio.sleep(0)
    both = [asyncio.create_task(engine.run((version,), windows(2), deadline_s=each)) for each in (7.0, 60.0)]
    with pytest.raises(DeadlineExpiredError):
        await both[0]
    assert looptime == 7
    assert values(await mate) == [1]
    assert values(await both[1]) == [2]
    assert version.lane.batches == [[1], [2, 2]]


async def test_a_deadline_that_has_passed_already_never_reaches_an_idle_model() -> None:
    """An idle runner is no reason to run what nobody waits for."""
    engine, version = dispatcher(), reader()
    await asyncio.sleep(5)
    with pytest.raises(DeadlineExpiredError):
        await engine.run((version,), windows(1), deadline_s=1.0)
    assert version.lane.batches == []


async def test_a_deadline_that_cannot_be_met_any_more_is_told_at_once(looptime: Any) -> None:
    """A run takes 1 s and half of that is left: the caller hears it now, and so does one that waits until it is so."""
    engine, version = dispatcher(), reader()
    with pytest.raises(DeadlineExpiredError):
        await engine.run((version,), windows(1), deadline_s=0.5)
    assert looptime == 0
    busy = asyncio.create_task(engine.run((version,), windows(0)))
    await asyncio.sleep(0.1)
    with pytest.raises(DeadlineExpiredError):
        await engine.run((version,), windows(2), deadline_s=1.5)
    assert looptime == pytest.approx(1.0)
    await busy
    assert version.lane.batches == [[0]]


async def test_a_call_of_which_one_window_is_late_leaves_whole() -> None:
    """Its other windows do not run for nobody."""
    engine, version = dispatcher(), reader()
    with pytest.raises(DeadlineExpiredError):  # three batches, one after another
        await engine.run((version,), windows(*range(90)), deadline_s=2.5)
    await asyncio.sleep(5)
    assert len(version.lane.batches) == 2
    assert _backlog(engine) == 0


async def test_a_window_of_a_call_that_is_late_anyway_does_not_run() -> None:
    """Of three windows the long one cannot be in time any more: the last one, which could, would run for nobody."""
    engine, version = dispatcher(runners=VirtualRunners(8.0)), reader(cost=per_token(1000.0))
    busy = asyncio.create_task(engine.run((version,), windows(0)))
    await asyncio.sleep(1)
    parts = [FakeWindow(1, token_count=64), FakeWindow(2), FakeWindow(3)]
    with pytest.raises(DeadlineExpiredError):
        await engine.run((version,), parts, deadline_s=40.0)  # type: ignore[arg-type]
    await busy
    await asyncio.sleep(40)
    assert version.lane.batches == [[0], [2]]  # 2 was chosen together with the finding that 1 is late
    assert _backlog(engine) == 0


async def test_a_full_queue_refuses_at_once_and_recovers() -> None:
    """At the limit on waiting tokens callers get QUEUE_FULL with a delay to retry; when the queue drains they enter."""
    engine, version = dispatcher(queue_limit_tokens=16), reader()
    tasks = []
    for value in range(3):  # one runs, two wait: 16 tokens
        with engine.admitted(version, 8):
            pass
        tasks.append(asyncio.create_task(engine.run((version,), windows(value))))
        await asyncio.sleep(0)
    with pytest.raises(QueueFullError) as caught, engine.admitted(version, 8):
        pass
    assert caught.value.metadata == {"queued_tokens": "16", "limit_tokens": "16"}
    assert caught.value.retry_after_ms
    await asyncio.gather(*tasks)
    with engine.admitted(version, 8):
        pass


async def test_another_model_enters_a_queue_that_one_has_filled() -> None:
    """Up to its share."""
    engine, version, other = dispatcher(queue_limit_tokens=16), reader(), reader("support")
    with engine.admitted(version, 16):
        assert not _has_room(engine, version)
        assert _has_room(engine, other)
        with engine.admitted(other, 8):
            assert not _has_room(engine, other)


async def test_texts_that_are_being_tokenized_count_as_waiting() -> None:
    """Memory is bounded before the queue as well as in it: a call counts from its entry, its parts leave the count and join it
    one by one, and a call that leaves, whenever, gives all its room back.
    """
    engine, version = dispatcher(queue_limit_tokens=16), reader()
    with suppress(ZeroDivisionError), engine.admitted(version, 1_000_000) as expect:
        assert not _has_room(engine, version)
        expect(-999_999)
        assert _has_room(engine, version)
        expect(15)
        assert not _has_room(engine, version)
        raise ZeroDivisionError
    assert _has_room(engine, version)
    assert _backlog(engine) == 0


async def test_a_call_that_would_be_answered_too_late_is_not_admitted() -> None:
    """With 100 s of work waiting, by the lane's costs: refused with the time after which it might be, without having run."""
    engine, version = dispatcher(), reader(cost=per_token(1000.0))
    with engine.admitted(version, 100):
        with pytest.raises(QueueFullError) as caught, engine.admitted(version, 8, deadline_s=120.0):
            pass
        assert caught.value.retry_after_ms == pytest.approx(1000 * (100 * CAUTION + 8 - 120), abs=1)
        with engine.admitted(version, 8, deadline_s=160.0):
            pass
    with pytest.raises(DeadlineExpiredError), engine.admitted(version, 8, deadline_s=0.0):
        pass


async def test_admission_learns_from_the_runs() -> None:
    """Where batches take three times as long as the lane says, waits are predicted so; nothing is learnt while nothing waits."""
    engine, version = dispatcher(runners=VirtualRunners(3 * 8.0)), reader(cost=per_token(1000.0))
    await engine.run((version,), windows(1))
    assert engine._backlog.slowdown == 1.0
    await asyncio.gather(*(engine.run((version,), windows(number)) for number in range(50)))
    assert engine._backlog.slowdown == pytest.approx(3.0, rel=0.05)


async def test_a_cancelled_caller_gives_its_room_back() -> None:
    """Windows that leave the queue by cancellation no longer count."""
    engine, version = dispatcher(queue_limit_tokens=8), reader()
    busy = asyncio.create_task(engine.run((version,), windows(0)))
    waits = asyncio.create_task(engine.run((version,), windows(1)))
    await asyncio.sleep(0)
    assert not _has_room(engine, version)
    waits.cancel()
    await asyncio.sleep(0)
    assert _has_room(engine, version)
    await busy


async def test_a_storm_of_leaving_callers_loses_nothing() -> None:
    """Of 300 callers, interactive and bulk, with and without deadlines, in three lanes, a third leaves at random moments; every
    other one gets exactly its own answers or is told that they come too late.
    """
    versions = [reader("banking"), reader("support"), reader("support")]
    engine = dispatcher(runners=VirtualRunners(0.2), runner_count=2)
    tasks: dict[asyncio.Task[Any], tuple[int, list[int]]] = {}
    for number in range(300):
        mine = [number * 10 + place for place in range(number % 5 + 1)]
        deadline_s = math.inf if number % 4 else asyncio.get_running_loop().time() + 0.7 * (number % 13)
        call = engine.run(
            (versions[number % 3],), windows(*mine), deadline_s=deadline_s, is_bulk=number % 5 == 1
        )
        tasks[asyncio.create_task(call)] = (number, mine)
        await asyncio.sleep(0.001 * (number % 7))
        if number % 3 == 2:
            leaver = next(task for task, (other, _) in tasks.items() if other == number - number % 11)
            leaver.cancel()
    answered = 0
    for task, (number, mine) in tasks.items():
        try:
            assert values(await task) == mine
            answered += 1
        except asyncio.CancelledError:
            assert task.cancelled()
        except DeadlineExpiredError:
            assert number % 4 == 0
    assert answered > 150
    assert [version.pins for version in versions] == [0, 0, 0]
    assert (_backlog(engine), len(engine._queue)) == (0, 0)


def _backlog(engine: Dispatcher) -> int:
    return engine._backlog.tokens  # the gauge of the same number would be shared between tests
