"""Servers over real sockets: errors of all four kinds of calls, ports, health, draining."""

import asyncio
import time
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from shared.errors import DatasetInvalidError, ModelNotFoundError, PortTakenError, Problem
from shared.rpc.drain import drain
from shared.rpc.health import HealthServer
from shared.rpc.server import Server, bind
from shared.rpc.status import explain
from shared.telemetry.metrics import RPC_SECONDS

_SECRET = "the text of a user"  # must never come back


async def _first(stream: AsyncIterator[bytes]) -> bytes:
    async for item in stream:
        return item
    return b""


def _raise(kind: bytes) -> None:
    if kind == b"domain":
        raise ModelNotFoundError("no model 'banking'", model="banking")
    if kind == b"many":
        problems = [
            Problem(f"support-intents-2024.jsonl:{n}", "is not JSON: " + "x" * 200) for n in range(500)
        ]
        raise DatasetInvalidError("The dataset cannot be used.", problems, file="support-intents-2024.jsonl")
    if kind == b"bug":
        raise ValueError(_SECRET)


class _Kinds(grpc.GenericRpcHandler):
    """Echoes, or raises what the request asks for, by each kind of handler."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        async def unary_unary(request: bytes, _: object) -> bytes:
            _raise(request)
            return request

        async def unary_stream(request: bytes, _: object) -> AsyncIterator[bytes]:
            yield b"first"
            _raise(request)

        async def stream_unary(requests: AsyncIterator[bytes], _: object) -> bytes:
            return await unary_unary(await _first(requests), _)

        async def stream_stream(requests: AsyncIterator[bytes], _: object) -> AsyncIterator[bytes]:
            async for item in requests:
                _raise(item)
                yield item

        name = details.method.rsplit("/", 1)[-1]
        return {
            "UnaryUnary": grpc.unary_unary_rpc_method_handler(unary_unary),
            "UnaryStream": grpc.unary_stream_rpc_method_handler(unary_stream),
            "StreamUnary": grpc.stream_unary_rpc_method_handler(stream_unary),
            "StreamStream": grpc.stream_stream_rpc_method_handler(stream_stream),
        }.get(name)


async def _call(channel: grpc.aio.Channel, method: str, request: bytes) -> list[bytes]:
    path = f"/kinds/{method}"
    if method == "UnaryUnary":
        return [await channel.unary_unary(path)(request)]
    if method == "StreamUnary":
        return [await channel.stream_unary(path)(iter([request]))]
    call = (
        channel.unary_stream(path)(request)
        if method == "UnaryStream"
        else channel.stream_stream(path)(iter([request]))
    )
    return [item async for item in call]


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    server = Server()
    server.add_generic_rpc_handlers((_Kinds(),))
    port = bind(server, "127.0.0.1", 0)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(None)


_METHODS = ["UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream"]


@pytest.mark.parametrize("method", _METHODS)
async def test_a_domain_error_reaches_the_caller_with_its_reason(
    channel: grpc.aio.Channel, method: str
) -> None:
    """All four kinds of calls map errors alike."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _call(channel, method, b"domain")
    explained = explain(caught.value)
    assert (explained.code, explained.reason) == ("NOT_FOUND", "MODEL_NOT_FOUND")
    assert explained.metadata == {"model": "banking"}


async def test_handlers_registered_twice_as_generated_code_does_leak_nothing() -> None:
    """gRPC would prefer those of the second way, which nobody has wrapped."""

    async def broken(request: bytes, _: object) -> bytes:
        raise ValueError(_SECRET)

    handlers = {"Call": grpc.unary_unary_rpc_method_handler(broken)}
    server = Server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("twice", handlers),))
    server.add_registered_method_handlers("twice", handlers)
    port = bind(server, "127.0.0.1", 0)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await opened.unary_unary("/twice/Call")(b"x")
    await server.stop(None)
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert _SECRET not in repr(caught.value)


@pytest.mark.parametrize("method", _METHODS)
async def test_an_unforeseen_error_leaks_nothing(channel: grpc.aio.Channel, method: str) -> None:
    """INTERNAL carries an incident id and no word of the exception."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _call(channel, method, b"bug")
    explained = explain(caught.value)
    assert (explained.code, explained.reason) == ("INTERNAL", "INTERNAL")
    assert _SECRET not in repr(caught.value)
    assert explained.metadata["incident"] in explained.message


async def test_many_problems_reach_the_caller(channel: grpc.aio.Channel) -> None:
    """An error with hundreds of problems arrives as itself: no peer refuses its trailer."""
    for _ in range(20):  # above the soft limit peers refuse at random
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _call(channel, "UnaryUnary", b"many")
        explained = explain(caught.value)
        assert (explained.code, explained.reason) == ("INVALID_ARGUMENT", "DATASET_INVALID")
        assert explained.metadata["problem_count"] == "500"
        assert explained.problems[0].field == "support-intents-2024.jsonl:0"


@pytest.mark.parametrize("method", _METHODS)
async def test_a_good_call_passes_and_counts(channel: grpc.aio.Channel, method: str) -> None:
    """The boundary changes no answer and counts the call as OK."""
    before = _calls(method)
    assert (await _call(channel, method, b"fine"))[0] in (b"fine", b"first")
    await asyncio.sleep(0.05)  # the server counts after the answer is on its way
    assert _calls(method) == before + 1


async def test_an_unknown_method_is_unimplemented(channel: grpc.aio.Channel) -> None:
    """A method that nobody serves is no internal error."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary("/kinds/Nothing")(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_a_burst_is_not_cancelled_by_grpc() -> None:
    """However many calls wait to be taken in: gRPC's own limit of a thousand would answer CANCELLED, which nobody retries."""

    async def busy(request: bytes, _: object) -> bytes:
        time.sleep(0.0005)  # noqa: ASYNC251  # keeps the event loop, as much to do does
        return request

    server = Server()
    handlers = {"Call": grpc.unary_unary_rpc_method_handler(busy)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("busy", handlers),))
    port = bind(server, "127.0.0.1", 0)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        call = opened.unary_unary("/busy/Call")
        assert await asyncio.gather(*(call(b"x") for _ in range(3000))) == [b"x"] * 3000
    await server.stop(None)


async def test_a_taken_port_is_refused_in_clear_words(channel: grpc.aio.Channel) -> None:
    """Two servers never share a port in silence."""
    first, second = Server(), Server()
    port = bind(first, "127.0.0.1", 0)
    await first.start()
    with pytest.raises(PortTakenError, match=f"127.0.0.1:{port}"):
        bind(second, "127.0.0.1", port)
    await first.stop(None)


async def test_health_says_started_ready_and_draining() -> None:
    """The three names change as a pod's probes expect, and draining is for good."""
    health, server = HealthServer("127.0.0.1", 0), Server()
    bind(server, "127.0.0.1", 0)
    await server.start()
    await health.start()
    serving = health_pb2.HealthCheckResponse.SERVING

    async def states() -> dict[str, bool]:
        return {
            name: (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status == serving
            for name in ("liveness", "startup", "readiness", "")
        }

    async with grpc.aio.insecure_channel(f"127.0.0.1:{health.port}") as opened:
        stub = health_pb2_grpc.HealthStub(opened)
        assert await states() == {"liveness": True, "startup": False, "readiness": False, "": False}
        await health.set_started()
        await health.set_ready(ready=True)
        assert await states() == {"liveness": True, "startup": True, "readiness": True, "": True}
        await drain(server, health, delay_s=0, grace_s=0)
        await health.set_ready(ready=True)
        assert await states() == {"liveness": True, "startup": True, "readiness": False, "": False}
    await health.stop()


async def test_a_call_may_be_longer_than_its_connection_lives() -> None:
    """A connection that has had its time takes no new calls; the one in flight ends as it would have."""

    class Slow(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            async def answer(request: bytes, _: object) -> bytes:
                await asyncio.sleep(2)
                return request

            return grpc.unary_unary_rpc_method_handler(answer)

    server = Server(max_connection_age_s=0.3)
    server.add_generic_rpc_handlers((Slow(),))
    port = bind(server, "127.0.0.1", 0)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        assert await opened.unary_unary("/slow/Call")(b"x", timeout=10) == b"x"
    await server.stop(None)


def _calls(method: str) -> float:
    samples = (sample for metric in RPC_SECONDS.collect() for sample in metric.samples)
    return sum(
        sample.value
        for sample in samples
        if sample.name.endswith("_count") and sample.labels == {"method": method, "code": "OK"}
    )
