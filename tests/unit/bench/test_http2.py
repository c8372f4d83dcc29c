"""The load generator's connection against a real grpc.aio server: answers, statuses, deadlines, cancellations, reconnecting."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from tests.bench.serving import frames
from tests.bench.serving.channel import Channel
from tests.bench.serving.frames import encode_message
from tests.bench.serving.http2 import Ended
from tests.bench.serving.messages import CLASSIFY

_SERVICE, _METHOD = CLASSIFY.strip("/").split("/")


class Fake:
    """Does what a request says, and remembers whether a call was cancelled."""

    def __init__(self) -> None:
        self.sleeps = asyncio.Event()
        self.heard = asyncio.Event()

    async def answer(self, request: bytes, context: Any) -> bytes:
        word, _, rest = request.partition(b" ")
        if word == b"fail":
            await context.abort(grpc.StatusCode(_status(int(rest))), "ä message, percent-encoded")
        if word == b"refuse":
            context.set_trailing_metadata((("details-bin", bytes(range(256))),))
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        if word == b"sleep":
            self.sleeps.set()
            try:
                await asyncio.sleep(float(rest))
            except asyncio.CancelledError:
                self.heard.set()
                raise
        if word == b"many":
            return b"x" * int(rest)
        return request


def _status(number: int) -> Any:
    return next(code.value for code in grpc.StatusCode if code.value[0] == number)


@asynccontextmanager
async def serving(**options: int) -> AsyncIterator[tuple[str, Fake]]:
    """A server on a free port."""
    fake = Fake()
    server = grpc.aio.server(options=[(f"grpc.{name}", value) for name, value in options.items()])
    handlers = {_METHOD: grpc.unary_unary_rpc_method_handler(fake.answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}", fake
    finally:
        await server.stop(None)


async def ask(address: str, *messages: bytes, timeout_ms: int | None = None) -> dict[Any, Ended]:
    """Call with each message at once; return the ends by the call's number."""

    def run() -> dict[Any, Ended]:
        ends: dict[Any, Ended] = {}
        with Channel(address, CLASSIFY) as channel:
            for number, message in enumerate(messages):
                channel.start(number, encode_message(message), timeout_ms)
            while len(ends) < len(messages):
                ends |= {ended.call: ended for ended in channel.wait(5)}
        return ends

    return await asyncio.to_thread(run)


async def test_every_call_gets_its_own_answer() -> None:
    """Of many calls at once on a few connections, each ends once, with what it has sent."""
    messages = [b"call %d" % number for number in range(500)]
    async with serving() as (address, _):
        ends = await ask(address, *messages)
    assert [ends[number].body for number in range(500)] == messages
    assert {each.status for each in ends.values()} == {frames.OK}


@pytest.mark.parametrize("status", [1, 3, 4, 5, 8, 9, 13, 14])
async def test_a_failed_call_has_its_status(status: int) -> None:
    """Among calls that end well, a failed one ends with its status, again and again."""
    async with serving() as (address, _):
        ends = await ask(address, b"first", *[b"fail %d" % status, b"then"] * 20)
    assert [ends[number].status for number in range(41)] == [0, *[status, 0] * 20]


async def test_a_refusal_brings_its_details() -> None:
    """Binary trailers change nothing for the calls after it."""
    async with serving() as (address, _):
        ends = await ask(address, *[b"refuse", b"echo"] * 20)
    assert ends[38].trailers[b"grpc-message"] == b"full"
    assert [ends[number].status for number in range(40)] == [frames.RESOURCE_EXHAUSTED, frames.OK] * 20


async def test_messages_of_many_frames_arrive() -> None:
    """Answers beyond a frame and beyond the default window come whole, and so do requests of several frames."""
    request = b"a" * 60_000
    async with serving() as (address, _):
        ends = await ask(address, request, b"many 3000000", request)
    assert ends[0].body == ends[2].body == request
    assert len(ends[1].body) == 3_000_000


async def test_more_than_the_servers_window_is_sent_in_the_end() -> None:
    """Requests that together exceed the connection's window wait for it."""
    messages = [b"%04d" % number + b"a" * 60_000 for number in range(200)]
    async with serving() as (address, _):
        ends = await ask(address, *messages)
    assert [ends[number].body for number in range(200)] == messages


async def test_a_deadline_ends_a_call() -> None:
    """The server knows how long the caller waits."""
    async with serving() as (address, fake):
        started_s = time.monotonic()
        ends = await ask(address, b"sleep 30", timeout_ms=100)
        assert time.monotonic() - started_s < 5
        async with asyncio.timeout(5):  # the server may hear of it later than the caller
            await fake.heard.wait()
    assert ends[0].status in (frames.DEADLINE_EXCEEDED, frames.CANCELLED)


async def test_a_cancelled_call_is_gone() -> None:
    """The server hears of it; it does not end here, and calls after it do."""
    async with serving() as (address, fake):

        def run() -> list[Ended]:
            with Channel(address, CLASSIFY, connections=1) as channel:
                connection, number = channel.start("slow", encode_message(b"sleep 30"))
                channel.flush()
                time.sleep(0.1)
                assert connection.cancel(number) == "slow"
                assert connection.cancel(number) is None
                channel.start("quick", encode_message(b"echo"))
                while not (ended := channel.wait(5)):
                    pass
                return ended

        ended = await asyncio.to_thread(run)
        async with asyncio.timeout(5):
            await fake.heard.wait()
    assert [each.call for each in ended] == ["quick"]


async def test_a_server_that_sends_its_clients_away_loses_no_call() -> None:
    """With connections of a short life every call is answered, over new ones."""
    async with serving(max_connection_age_ms=100, max_connection_age_grace_ms=5_000) as (address, _):

        def run() -> tuple[int, set[int]]:
            started, statuses, ended = 0, set(), 0
            ends_s = time.monotonic() + 1.5
            connections = set()
            with Channel(address, CLASSIFY) as channel:
                while time.monotonic() < ends_s or channel.calls_in_flight:
                    if time.monotonic() < ends_s:
                        connections.add(channel.start(started, encode_message(b"sleep 0.01"))[0])
                        started += 1
                    for each in channel.wait(0.005):
                        ended += 1
                        statuses.add(each.status)
            assert ended == started
            return len(connections), statuses

        connections, statuses = await asyncio.to_thread(run)
    assert connections > 8
    assert statuses == {frames.OK}


async def test_a_server_that_dies_is_told_of() -> None:
    """The call that it was at fails, by its own end or with its connection, and a load does not go on without its server."""
    async with serving() as (address, fake):
        waiting = asyncio.create_task(ask(address, b"sleep 30"))
        await fake.sleeps.wait()
    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(outcome, ConnectionError) or outcome[0].status != frames.OK
    with pytest.raises(ConnectionError):
        await ask(address, b"quick")
