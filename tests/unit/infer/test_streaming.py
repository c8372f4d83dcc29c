"""Many calls over one stream, on a virtual clock: what is read, when it is answered, and what is left when somebody leaves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any

import pytest

from services.infer.streaming import answer_stream
from shared.errors import ServerDrainingError

pytestmark = pytest.mark.looptime


class World:
    """A sender, and what answers: message n takes the seconds that `takes_s` says."""

    def __init__(
        self, count: int, takes_s: Callable[[int], float] = lambda _: 1.0, *, weight: float = 0.25
    ) -> None:
        self.read: list[int] = []
        self.begun: list[int] = []
        self.ended: list[int] = []
        self.stop = asyncio.Event()
        self._count = count
        self._takes_s = takes_s
        self._weight = weight

    async def messages(self, pause_s: float = 0.0) -> AsyncIterator[int]:
        """All of them, `pause_s` apart."""
        for number in range(self._count):
            await asyncio.sleep(pause_s)
            self.read.append(number)
            yield number

    async def answer(self, number: int) -> str:
        """Take a while."""
        self.begun.append(number)
        try:
            await asyncio.sleep(self._takes_s(number))
        finally:
            self.ended.append(number)
        return f"answer {number}"

    def answers(self, messages: AsyncIterator[int] | None = None) -> Any:
        """What the sender is sent."""
        return answer_stream(
            messages or self.messages(), self.answer, weight=lambda _: self._weight, stop=self.stop
        )


async def test_answers_come_as_they_are_ready() -> None:
    """The quick before the slow, each once."""
    world = World(6, lambda number: 10.0 - number, weight=0.01)
    assert [answer async for answer in world.answers()] == [f"answer {n}" for n in (5, 4, 3, 2, 1, 0)]


@pytest.mark.parametrize("weight", [0.05, 0.25, 1.0, 7.0])
async def test_no_more_is_read_than_the_allowance(looptime: Any, weight: float) -> None:
    """Of a hundred messages at once as many are worked on as their weights allow, whole ones, and one at least."""
    world = World(100, weight=weight)
    at_once = max(1, round(1 / weight))
    async for _ in world.answers():
        assert len(world.read) - len(world.ended) <= at_once
    assert sorted(world.ended) == list(range(100))
    assert looptime == -(-100 // at_once)


async def test_a_slow_message_does_not_hold_up_the_others(looptime: Any) -> None:
    """It keeps its part of the allowance and no more."""
    world = World(31, lambda number: 30.0 if number == 0 else 1.0)
    answers = [answer async for answer in world.answers()]
    assert answers[-1] == "answer 0"
    assert looptime == 30
    assert len(answers) == 31


async def test_who_does_not_read_answers_is_not_read_from() -> None:
    """Until he does; then nothing is missing."""
    world = World(100)
    answers = world.answers()
    assert await anext(answers) == "answer 0"
    await asyncio.sleep(1000)
    assert len(world.read) <= 5
    assert len([answer async for answer in answers]) == 99


async def test_a_sender_who_pauses_is_answered_meanwhile(looptime: Any) -> None:
    """Each answer comes when it is ready, not with the next message."""
    world = World(3)
    when_s = [float(str(looptime)) async for _ in world.answers(world.messages(pause_s=10.0))]
    assert when_s == [11, 21, 31]


@pytest.mark.parametrize("where", ["while answers are awaited", "while one is being sent"])
async def test_a_sender_who_leaves_takes_his_messages_along(where: str) -> None:
    """Nothing of his is worked on any more, nothing is left running."""
    world = World(100)
    before = asyncio.all_tasks()

    async def stream() -> None:
        async with aclosing(world.answers()) as answers:
            async for _ in answers:
                if where == "while one is being sent":
                    await asyncio.sleep(1000)

    task = asyncio.create_task(stream())
    await asyncio.sleep(2.5)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert sorted(world.begun) == sorted(world.ended)
    await asyncio.sleep(0)  # the messages' own generator ends
    assert asyncio.all_tasks() == before
    read = len(world.read)
    await asyncio.sleep(100)
    assert len(world.read) == read


async def test_a_stopping_server_answers_what_it_has_read(looptime: Any) -> None:
    """And reads nothing more; then it says that it stops."""
    world = World(100, lambda _: 10.0)
    answers: list[str] = []

    async def stream() -> None:
        async for answer in world.answers():
            answers.append(answer)  # what came before the error counts

    task = asyncio.create_task(stream())
    await asyncio.sleep(12)
    world.stop.set()
    with pytest.raises(ServerDrainingError):
        await task
    assert looptime == 20
    assert sorted(answers) == [f"answer {number}" for number in world.read]
    assert len(answers) == 8


async def test_a_stopping_server_lets_an_idle_stream_go_at_once(looptime: Any) -> None:
    """Nothing of it is open."""
    world = World(2)
    task = asyncio.create_task(anext(world.answers(world.messages(pause_s=1000))))
    await asyncio.sleep(5)
    world.stop.set()
    with pytest.raises(ServerDrainingError):
        await task
    assert looptime == 5
    assert len(asyncio.all_tasks()) == 1


async def test_a_stream_whose_messages_are_all_read_ends_well_though_the_server_stops() -> None:
    """There is nothing that it would have to send elsewhere."""
    world = World(3, lambda _: 10.0)
    answers = world.answers()
    asyncio.get_running_loop().call_later(5, world.stop.set)
    assert len([answer async for answer in answers]) == 3


async def test_a_sender_who_breaks_off_ends_the_stream() -> None:
    """What the messages raise is what the stream raises, and nothing is left running."""
    world = World(0)

    async def broken() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise ConnectionError

    with pytest.raises(ConnectionError):
        async for _ in world.answers(broken()):
            pass
    assert sorted(world.begun) == sorted(world.ended)
    assert len(asyncio.all_tasks()) == 1


async def test_an_empty_stream_ends_at_once(looptime: Any) -> None:
    """With nothing."""
    assert [answer async for answer in World(0).answers()] == []
    assert looptime == 0
