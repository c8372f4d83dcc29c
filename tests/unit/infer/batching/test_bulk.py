"""Bulk beside calls: it takes what they leave, waits outside, and is never a reason to refuse or delay one of them."""

import asyncio
import math
from collections.abc import Callable

import pytest

from services.infer.batching.admission import BULK_AHEAD_MS, CAUTION, Backlog
from services.infer.batching.dispatcher import Dispatcher
from services.infer.batching.queue import BULK_PATIENCE_S
from services.infer.cost import Cell, CostGrid
from shared.errors import DeadlineExpiredError, QueueFullError
from tests.unit.infer.batching.virtual import Reader, VirtualRunners, dispatcher, reader, windows

pytestmark = pytest.mark.looptime

RUN_S = 0.05
BATCH = 32  # of the windows here, at most


def _engine(runner_count: int = 1) -> tuple[Dispatcher, Reader]:
    """A batch of at most 32 takes 50 ms."""
    engine = dispatcher(
        runners=VirtualRunners(RUN_S), runner_count=runner_count, queue_limit_tokens=1_000_000
    )
    return engine, reader(cost=CostGrid([Cell(1, 8, 1000 * RUN_S), Cell(BATCH, 8, 1000 * RUN_S)]))


async def _bulk(engine: Dispatcher, version: Reader, count: int = BATCH, deadline_s: float = math.inf) -> int:
    """A message of a stream, as it is read."""
    await engine.room_for_bulk()
    with engine.admitted(version, 8 * count, deadline_s=deadline_s, is_bulk=True) as expect:
        expect(-8 * count)
        await engine.run((version,), windows(*range(count)), deadline_s=deadline_s, is_bulk=True)
    return count


async def _call(engine: Dispatcher, version: Reader, deadline_s: float = math.inf) -> float:
    """A call with one text; returns how long it took."""
    began_s = asyncio.get_running_loop().time()
    with engine.admitted(version, 8, deadline_s=deadline_s) as expect:
        expect(-8)
        await engine.run((version,), windows(7), deadline_s=deadline_s)
    return asyncio.get_running_loop().time() - began_s


async def _flood(
    engine: Dispatcher, version: Reader, streams: int, on_answered: Callable[[int], None]
) -> None:
    async def stream() -> None:
        while True:
            on_answered(await _bulk(engine, version))

    await asyncio.gather(*(stream() for _ in range(streams)))


async def test_calls_beside_a_flood_wait_for_the_run_that_runs() -> None:
    """However many streams, and for longer than bulk has patience: each call is in the next batch, the streams take all the rest."""
    engine, version = _engine()
    answered = 0

    def count(windows: int) -> None:
        nonlocal answered
        answered += windows

    flooding = asyncio.create_task(_flood(engine, version, 500, count))
    await asyncio.sleep(0.01)
    calls = 0
    while asyncio.get_running_loop().time() < 3 * BULK_PATIENCE_S:
        now_s = asyncio.get_running_loop().time()
        assert await _call(engine, version, deadline_s=now_s + 3 * RUN_S) <= 2 * RUN_S + 0.01
        calls += 1
        await asyncio.sleep(0.13)
    runs = asyncio.get_running_loop().time() / RUN_S
    assert answered == pytest.approx(BATCH * (runs - calls), rel=0.05)
    flooding.cancel()


async def test_bulk_waits_outside() -> None:
    """Of five hundred messages no more are let in than keep the runner busy for half a second, in the order in which they came."""
    engine, version = _engine()
    done: list[int] = []

    async def message(number: int) -> None:
        await _bulk(engine, version)
        done.append(number)

    messages = [asyncio.create_task(message(number)) for number in range(500)]
    for _ in range(100):
        await asyncio.sleep(RUN_S)
        assert engine._backlog.tokens <= 8 * BATCH * (1 + BULK_AHEAD_MS / (1000 * RUN_S))
    assert len(done) == pytest.approx(100, abs=1)
    assert done == sorted(done)
    for each in messages:
        each.cancel()


async def test_waiting_messages_cost_nothing_while_others_are_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand that wait are asked about room about as often as one comes in, not all of them each time; they come in in order."""
    asked = 0
    has_room = Backlog.has_room_for_bulk.fget
    assert has_room is not None

    def counted(backlog: Backlog) -> bool:
        nonlocal asked
        asked += 1
        return bool(has_room(backlog))

    monkeypatch.setattr(Backlog, "has_room_for_bulk", property(counted))
    engine, version = _engine()
    messages = [asyncio.create_task(_bulk(engine, version)) for _ in range(1000)]
    await asyncio.gather(*messages)
    assert asked < 10 * len(messages)


async def test_a_message_that_is_called_in_and_refused_leaves_its_turn_to_the_next() -> None:
    """Even where nothing else is going on that would wake anybody."""
    engine, version = _engine()
    with engine.admitted(version, 600_000, is_bulk=True):
        late = asyncio.create_task(_bulk(engine, version, deadline_s=0.001))
        next_one = asyncio.create_task(_bulk(engine, version))
        await asyncio.sleep(0.01)
    with pytest.raises(DeadlineExpiredError):
        await late
    assert await asyncio.wait_for(next_one, 1) == BATCH


async def test_messages_that_leave_while_they_wait_give_their_turn_to_others() -> None:
    """Cancelled outside as well as inside: nobody is forgotten."""
    engine, version = _engine()
    messages = [asyncio.create_task(_bulk(engine, version)) for _ in range(60)]
    await asyncio.sleep(RUN_S * 1.5)
    for each in messages[5:50]:
        each.cancel()
    assert await asyncio.gather(*messages[:5], *messages[50:]) == [BATCH] * 15
    assert engine._backlog.tokens == 0
    assert engine._backlog.has_room_for_bulk


async def test_bulk_is_not_starved_by_calls() -> None:
    """Where calls alone are more than can be run, bulk is served when its patience ends: a small part of the time."""
    engine, version = _engine()
    answered = 0

    def count(windows: int) -> None:
        nonlocal answered
        answered += windows

    async def calls() -> None:
        while True:
            await engine.run((version,), windows(*range(2 * BATCH)))

    tasks = [asyncio.create_task(calls()) for _ in range(3)]
    await asyncio.sleep(0.01)
    tasks.append(asyncio.create_task(_flood(engine, version, 50, count)))
    await asyncio.sleep(20 * BULK_PATIENCE_S)
    share = answered / BATCH * RUN_S / (20 * BULK_PATIENCE_S)
    assert 0.05 < share < 0.15
    for each in tasks:
        each.cancel()


def _backlog(**bulk_tokens: int) -> Backlog:
    backlog = Backlog(limit_tokens=1000, runners=1)
    for model, tokens in bulk_tokens.items():
        backlog.change(model, tokens, 0.5, is_bulk=True)
    return backlog


def test_bulk_that_waits_is_no_reason_to_refuse_a_call() -> None:
    """Neither for room nor for its deadline, whoever's bulk it is."""
    backlog = _backlog(banking=5000, support=5000)
    for model in ("banking", "support", "legal"):
        backlog.check(model, own_ms=5.0, now_s=0.0, deadline_s=0.006)
        assert backlog.wait_ms(model) == 0
    backlog.change("banking", 999, 0.5)
    backlog.check("banking", own_ms=5.0, now_s=0.0, deadline_s=math.inf)
    backlog.change("banking", 1, 0.5)
    with pytest.raises(QueueFullError):
        backlog.check("banking", own_ms=5.0, now_s=0.0, deadline_s=math.inf)


def test_bulk_is_refused_for_its_deadline_alone() -> None:
    """It waits behind everything."""
    backlog = _backlog(banking=100)
    backlog.change("support", 1000, 0.5)
    wait_s = CAUTION * 0.55
    backlog.check("support", own_ms=5.0, now_s=0.0, deadline_s=wait_s + 0.006, is_bulk=True)
    with pytest.raises(QueueFullError):
        backlog.check("support", own_ms=5.0, now_s=0.0, deadline_s=wait_s, is_bulk=True)


@pytest.mark.parametrize(("calls", "bulk", "room"), [(0, 499, True), (500, 0, False), (250, 250, False)])
def test_bulk_leaves_half_of_the_room(calls: int, bulk: int, room: bool) -> None:
    """To calls, which do not wait outside."""
    backlog = _backlog(banking=bulk)
    backlog.change("banking", calls, 0.5)
    assert backlog.has_room_for_bulk == room
