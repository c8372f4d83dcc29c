"""Streams under pressure: senders faster than the models, readers slower, callers beside them, callers that leave, a server that stops."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest

from services.infer import wire
from shared.rpc.status import explain, read_status
from shared.stubs.inference.v1 import inference_pb2 as pb
from shared.stubs.inference.v1.inference_pb2_grpc import InferenceServiceStub
from tests.integration.infer_service.running import Client, Service, connected, in_process
from tests.integration.infer_service.runs import watched
from tests.integration.infer_service.shelf import Shelf

RUN_S = 0.2  # far longer than a call takes to come in, on a busy machine too
QUEUE_TOKENS = 400
BATCH_TOKENS = 64


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """Two classifiers."""
    shelf = Shelf(tmp_path)
    for model in ("topics", "other"):
        shelf.good(model, "classification", labels=[f"label {number}" for number in range(60)])
    return shelf


@pytest.fixture
async def service(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """One runner, small batches, room for few tokens, and for one model beside none that is required, which may go at once."""
    monkeypatch.setattr("services.infer.residency.routes.STAY_S", 0.0)
    settings = {"threads": 1, "queue_limit_tokens": QUEUE_TOKENS, "batch_tokens": BATCH_TOKENS}
    async with (
        in_process(shelf, tmp_path / "cache", on_demand_limit=1, **settings) as service,
        connected(service.port) as client,
    ):
        await client.classify("topics", ["card"])
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Client]:
    """One client."""
    async with connected(service.port) as client:
        yield client


def _message(number: int, *texts: str, top_k: int = 1) -> pb.StreamClassifyRequest:
    request = pb.ClassifyRequest(model="topics", texts=texts, top_k=top_k)
    return pb.StreamClassifyRequest(id=str(number), request=request)


def _flood(count: int, texts: int = 4) -> Iterator[pb.StreamClassifyRequest]:
    return (_message(number, *["help with my card"] * texts) for number in range(count))


def _queued_tokens(service: Service) -> float:
    line = next(each for each in service.metrics().splitlines() if each.startswith("tagsmith_queue_tokens"))
    return float(line.split()[-1])


async def _queue_is_empty(service: Service, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while await asyncio.to_thread(_queued_tokens, service):  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.01)


async def test_a_reader_who_does_not_read_holds_his_sender_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server reads some messages of 200 and no more, the sender waits; when he reads, nothing is lost."""
    # Else the windows of HTTP/2 grow to the megabytes that a loopback can take.
    options = [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
    count, read = 200, 0
    classify_call = wire.classify_call

    def counted(*args: object, **fields: object) -> object:
        nonlocal read
        read += 1
        return classify_call(*args, **fields)  # type: ignore[arg-type]

    monkeypatch.setattr(wire, "classify_call", counted)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.port}", options=options) as channel:
        call = InferenceServiceStub(channel).StreamClassify(timeout=60)
        sent = 0

        async def send() -> None:
            nonlocal sent
            for number in range(count):  # 64 KiB each, and 10 of an answer
                await call.write(_message(number, *["card" + " " * 8000] * 8, top_k=0))
                sent += 1
            await call.done_writing()

        sending = asyncio.create_task(send())
        before = -1
        while before != read:
            before = read
            await asyncio.sleep(0.4)
        assert 0 < read < 60
        assert sent < count
        ids = []
        while (response := await call.read()) is not grpc.aio.EOF:
            assert [len(each.classification.labels) for each in response.response.results] == [60] * 8
            ids.append(int(response.id))
        await sending
        assert sorted(ids) == list(range(count))
        assert read == count


async def test_a_flood_waits_outside(
    client: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a sender who is faster than the models the queue never holds more than half of what it may and a message."""
    watched(monkeypatch, slow_s=RUN_S / 5)
    most, ids = 0.0, []

    async def look() -> None:
        nonlocal most
        while True:
            most = max(most, await asyncio.to_thread(_queued_tokens, service))
            await asyncio.sleep(0.005)

    looking = asyncio.create_task(look())
    async for response in client.stub.StreamClassify(_flood(200), timeout=60):
        assert len(response.response.results) == 4
        ids.append(int(response.id))
    looking.cancel()
    assert sorted(ids) == list(range(200))
    assert 0 < most <= QUEUE_TOKENS / 2 + 4 * 6


async def test_calls_beside_a_flood_wait_for_a_run_or_two(
    client: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same model, one after another and many at once: none is refused, and the flood goes on."""
    runs = watched(monkeypatch, slow_s=RUN_S)
    answered = 0

    async def flood() -> None:
        nonlocal answered
        async for response in client.stub.StreamClassify(_flood(10_000), timeout=60):
            answered += len(response.response.results)

    async def call(beside: Client) -> int:
        begun = len(runs.batches)
        request = pb.ClassifyRequest(model="topics", texts=["refund"])
        await beside.stub.Classify(request, timeout=10)
        return len(runs.batches) - begun

    flooding = [asyncio.create_task(flood()) for _ in range(3)]
    await asyncio.sleep(5 * RUN_S)
    assert await asyncio.to_thread(_queued_tokens, service) > QUEUE_TOKENS / 3
    before = answered
    async with connected(service.port) as beside:
        waited = [await call(beside) for _ in range(8)]
        waited += await asyncio.gather(*(call(beside) for _ in range(8)))
    assert (
        max(waited) <= 3
    )  # its own, one that another runner's end began before it, one that began at its end
    assert answered > before
    assert not any(each.done() for each in flooding)
    for each in flooding:
        each.cancel()


@pytest.mark.parametrize("reads", [True, False])
async def test_a_stream_that_is_cancelled_leaves_nothing_behind(
    client: Client, service: Service, monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    """No window of it waits, none runs any more, and its model can be unloaded; whether or not its answers are being read."""
    runs = watched(monkeypatch, slow_s=RUN_S)
    call = client.stub.StreamClassify(timeout=60)

    async def send() -> None:
        for message in _flood(10_000):
            await call.write(message)

    async def read() -> None:
        while await call.read() is not grpc.aio.EOF:
            pass

    tasks = [asyncio.create_task(send()), *([asyncio.create_task(read())] if reads else [])]
    await asyncio.sleep(4 * RUN_S)
    assert await asyncio.to_thread(_queued_tokens, service) > 0
    call.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await _queue_is_empty(service, RUN_S)
    begun = len(runs.batches)
    runs.slow_s = 0.0
    await client.classify("other", ["card"])
    async with asyncio.timeout(2):
        while "topics@1" in await client.states():  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.01)
    assert [each for each in runs.readers[begun:] if "topics@1" in each] == []


async def test_a_stream_outlives_the_age_at_which_connections_are_closed(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server closes them so that clients find new replicas; what is under way on them ends as it would have."""
    monkeypatch.setattr("services.infer.app._CONNECTION_AGE_S", 0.2)
    async with (
        in_process(shelf, tmp_path / "cache", "topics") as service,
        connected(service.port) as client,
    ):
        call = client.stub.StreamClassify(timeout=20)
        for number in range(10):
            await call.write(_message(number, "card"))
            assert (await call.read()).id == str(number)
            await asyncio.sleep(0.1)
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def test_a_server_that_stops_answers_what_it_has_read(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the stream ends with UNAVAILABLE and SERVER_DRAINING; the ids tell what to send to another server."""
    async with AsyncExitStack() as clients, AsyncExitStack() as serving:
        service = await serving.enter_async_context(
            in_process(shelf, tmp_path / "cache", "topics", threads=1, batch_tokens=BATCH_TOKENS)
        )
        client = await clients.enter_async_context(connected(service.port))
        watched(monkeypatch, slow_s=RUN_S / 2)
        answered: list[int] = []

        async def stream() -> grpc.aio.AioRpcError:
            try:
                async for response in client.stub.StreamClassify(_flood(10_000, texts=16), timeout=60):
                    if response.HasField("error"):
                        assert read_status(response.error).reason == "SERVER_DRAINING"
                    else:
                        assert len(response.response.results) == 16
                    answered.append(int(response.id))
            except grpc.aio.AioRpcError as error:
                return error
            raise AssertionError("it ended well")

        streaming = asyncio.create_task(stream())
        await asyncio.sleep(4 * RUN_S)
        before = len(answered)
        stopping = asyncio.create_task(serving.aclose())
        explained = explain(await streaming)
        await stopping
    assert (explained.code, explained.reason) == ("UNAVAILABLE", "SERVER_DRAINING")
    assert explained.retry_after_ms
    assert len(answered) > before
    assert sorted(answered) == list(range(len(answered)))  # none that was read is missing
