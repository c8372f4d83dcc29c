"""Bulk over streams, over real sockets, from real ONNX sessions: ids, answers, and faults in their place."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from shared.rpc.status import read_status
from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.integration.infer_service.running import Client, Service, connected, in_process, refusal
from tests.integration.infer_service.runs import watched
from tests.integration.infer_service.shelf import POISON, Shelf
from tests.tiny import FILLERS, NAMES, SURNAMES, TOPICS

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A classifier, an extractor, and a classifier that one word breaks."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    shelf.good("topics", "classification")
    shelf.good("names", "entities")
    shelf.point(shelf.poisoned("fragile"))
    async with in_process(
        shelf, tmp_path_factory.mktemp("cache"), "topics", "names", "fragile", threads=1
    ) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(service: Service) -> AsyncIterator[Client]:
    """One client."""
    async with connected(service.port) as client:
        yield client


def _message(id_: str, *texts: str, model: str = "topics", **fields: Any) -> pb.StreamClassifyRequest:
    request = pb.ClassifyRequest(model=model, texts=texts, **fields)
    return pb.StreamClassifyRequest(id=id_, request=request)


async def _all(
    client: Client, messages: Sequence[pb.StreamClassifyRequest]
) -> list[pb.StreamClassifyResponse]:
    return [response async for response in client.stub.StreamClassify(iter(messages), timeout=20)]


def _texts(rng: random.Random, words: Sequence[str]) -> list[str]:
    return [
        " ".join(rng.choice((*words, *FILLERS)) for _ in range(rng.choice((1, 5, 20, 150))))
        for _ in range(rng.randint(1, 6))
    ]


def _rounded(response: pb.ClassifyResponse | pb.ExtractEntitiesResponse) -> list[list[tuple[object, ...]]]:
    if isinstance(response, pb.ClassifyResponse):
        return [
            [
                (each.label, pytest.approx(each.score, abs=1e-6), each.is_given)
                for each in of_text.classification.labels
            ]
            for of_text in response.results
        ]
    return [
        [
            (each.label, each.start, each.end, each.surface, pytest.approx(each.score, abs=1e-6))
            for each in of_text.entities.entities
        ]
        for of_text in response.results
    ]


async def test_every_message_has_the_answer_of_its_call(client: Client) -> None:
    """Sixty messages with texts of one window and of several: each id comes back once, with what Classify answers."""
    rng = random.Random(7)  # noqa: S311  # the same texts in every run
    calls = {f"row {number}": _texts(rng, TOPICS) for number in range(60)}
    responses = await _all(client, [_message(id_, *texts, top_k=2) for id_, texts in calls.items()])
    assert sorted(response.id for response in responses) == sorted(calls)
    for response in responses:
        unary = await client.classify("topics", calls[response.id], top_k=2)
        assert response.response.model_version == "topics@1"
        assert _rounded(response.response) == _rounded(unary)
        assert [each.classification.window_count for each in response.response.results] == [
            each.classification.window_count for each in unary.results
        ]
        assert response.response.timing.token_count == unary.timing.token_count


async def test_entities_come_over_a_stream_as_well(client: Client) -> None:
    """In the unit that each message asks for."""
    rng = random.Random(8)  # noqa: S311  # the same texts in every run
    requests = {
        str(number): pb.ExtractEntitiesRequest(
            model="names",
            texts=["😀 ada lovelace in paris", *_texts(rng, NAMES + SURNAMES)],
            offset_unit=(pb.UTF8_BYTES, pb.UTF16_CODE_UNITS, pb.UNICODE_CODE_POINTS)[number % 3],
        )
        for number in range(30)
    }
    messages = [pb.StreamExtractEntitiesRequest(id=id_, request=each) for id_, each in requests.items()]
    answered = 0
    async for response in client.stub.StreamExtractEntities(iter(messages), timeout=20):
        request = requests[response.id]
        unary = await client.extract("names", list(request.texts), offset_unit=request.offset_unit)
        assert response.response.offset_unit == request.offset_unit
        assert response.response.results[0].entities.entities[0].surface == "ada lovelace"
        assert _rounded(response.response) == _rounded(unary)
        answered += 1
    assert answered == 30


async def test_ids_are_the_senders_own(client: Client) -> None:
    """None, the same twice, 128 bytes of anything: they come back as they are."""
    ids = ["", "", "twice", "twice", "é" * 64, "\x00 \n"]
    responses = await _all(client, [_message(id_, "card") for id_ in ids])
    assert sorted(response.id for response in responses) == sorted(ids)
    assert all(response.WhichOneof("outcome") == "response" for response in responses)


async def test_a_short_message_does_not_wait_for_a_long_one_before_it(client: Client) -> None:
    """Answers come as they are ready; ids tell which is which."""
    long = "the card of my login " * 4000
    responses = await _all(client, [_message("long", long, long), _message("short", "card")])
    assert [response.id for response in responses] == ["short", "long"]


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown model": ({"model": "unknown"}, "NOT_FOUND", "MODEL_NOT_FOUND"),
    "unknown version": ({"model": "topics@99"}, "NOT_FOUND", "VERSION_NOT_FOUND"),
    "no name": ({"model": "No Name"}, "INVALID_ARGUMENT", "NAME_MALFORMED"),
    "another task": ({"model": "names"}, "FAILED_PRECONDITION", "TASK_MISMATCH"),
    "no text": ({"texts": []}, "INVALID_ARGUMENT", "BATCH_SIZE_INVALID"),
    "257 texts": ({"texts": ["card"] * 257}, "INVALID_ARGUMENT", "BATCH_SIZE_INVALID"),
    "top_k": ({"top_k": -1}, "INVALID_ARGUMENT", "FIELD_INVALID"),
    "no request": ({}, "INVALID_ARGUMENT", "NAME_MALFORMED"),
    "x" * 129: ({"model": "topics", "texts": ["card"]}, "INVALID_ARGUMENT", "FIELD_INVALID"),
}


async def test_a_bad_message_is_answered_in_its_place(client: Client) -> None:
    """With what its call would have failed with, under its id; those before and after it have their answers."""
    messages = [_message("first", "card")]
    for id_, (fields, _, _) in BAD.items():
        request = pb.ClassifyRequest(**{"model": "topics", "texts": ["card"], **fields}) if fields else None
        messages.append(pb.StreamClassifyRequest(id=id_, request=request))
    messages.append(_message("last", "refund", "", "login"))
    responses = {response.id: response for response in await _all(client, messages)}
    assert responses.keys() == {"first", *BAD, "last"}
    for id_, (fields, code, reason) in BAD.items():
        explained = read_status(responses[id_].error)
        assert (explained.code, explained.reason) == (code, reason)
        if fields and len(id_) <= 128:
            unary = await refusal(
                client.stub.Classify(
                    pb.ClassifyRequest(**{"model": "topics", "texts": ["card"], **fields}), timeout=5
                )
            )
            assert explained == unary
    assert responses["first"].response.results[0].classification.labels[0].label == "billing"
    reasons = [read_status(each.error).reason for each in responses["last"].response.results]
    assert reasons == ["", "TEXT_EMPTY", ""]


async def test_an_unknown_unit_is_answered_in_its_place(client: Client) -> None:
    """Of entities."""
    requests = [
        pb.ExtractEntitiesRequest(model="names", texts=["ada"], offset_unit=unit)  # type: ignore[arg-type]
        for unit in (77, pb.UTF8_BYTES)
    ]
    messages = [
        pb.StreamExtractEntitiesRequest(id=str(number), request=request)
        for number, request in enumerate(requests)
    ]
    call = client.stub.StreamExtractEntities(iter(messages), timeout=20)
    responses = {response.id: response async for response in call}
    assert read_status(responses["0"].error).metadata == {"field": "offset_unit", "value": "77"}
    assert responses["1"].response.offset_unit == pb.UTF8_BYTES


async def test_a_poisoned_message_fails_alone(client: Client, service: Service) -> None:
    """Its text is answered with an incident, the other texts of its message and the other messages as ever."""
    messages = [
        _message(str(number), "card", f"my {POISON}" if number == 5 else "refund", model="fragile")
        for number in range(10)
    ]
    for response in await _all(client, messages):
        first, second = response.response.results
        assert first.classification.labels[0].label == "billing"
        if response.id == "5":
            incident = read_status(second.error).metadata["incident"]
            assert incident in {each.get("incident") for each in service.logs}
        else:
            assert second.classification.labels[0].label == "delivery"


async def test_an_empty_stream_ends_at_once(client: Client) -> None:
    """With nothing."""
    assert await _all(client, []) == []


async def test_a_stream_can_be_talked_with(client: Client) -> None:
    """Message after message, each sent when the one before it was answered: nothing waits for more to come."""
    call = client.stub.StreamClassify(timeout=20)
    for number in range(5):
        await call.write(_message(str(number), "card"))
        assert (await call.read()).id == str(number)
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF


async def test_a_stream_waits_for_a_model_that_is_being_loaded(tmp_path: Path) -> None:
    """Its first message loads it; not one is answered that it is on its way."""
    shelf = Shelf(tmp_path)
    shelf.good("topics", "classification")
    async with (
        in_process(shelf, tmp_path / "cache", allow_empty=True) as service,
        connected(service.port) as client,
    ):
        sent = [_message(str(number), "card") for number in range(5)]
        answered = [each async for each in client.stub.StreamClassify(iter(sent), timeout=30)]
        assert sorted(each.id for each in answered) == [each.id for each in sent]
        assert all(each.HasField("response") for each in answered)


async def test_a_message_that_cannot_be_read_ends_the_stream_after_those_before_it(client: Client) -> None:
    """INVALID_ARGUMENT, without a word of what was sent; what was sent before is answered."""
    call = client.channel.stream_stream("/tagsmith.inference.v1.InferenceService/StreamClassify")(
        iter([_message("1", "card").SerializeToString(), b"\xff\xff\xff"])
    )
    answered: list[str] = []

    async def read() -> None:
        async for message in call:
            answered.append(pb.StreamClassifyResponse.FromString(message).id)

    refused = await refusal(read())
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert answered == ["1"]


async def test_one_stream_too_many_is_refused(tmp_path: Path) -> None:
    """Each may hold megabytes: more than so many at once wait elsewhere; one that ends makes room."""
    shelf = Shelf(tmp_path)
    shelf.good("topics", "classification")
    async with (
        in_process(shelf, tmp_path / "cache", "topics", streams_limit=1) as service,
        connected(service.port) as client,
    ):
        open_one = client.stub.StreamClassify()
        await open_one.write(_message("1", "card"))
        assert (await open_one.read()).id == "1"
        refused = await refusal(_drained(client.stub.StreamClassify(iter([_message("2", "card")]))))
        assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")
        assert refused.retry_after_ms == 1000
        await open_one.done_writing()
        assert await open_one.read() is grpc.aio.EOF
        assert [each.id async for each in client.stub.StreamClassify(iter([_message("3", "card")]))] == ["3"]


async def test_the_streams_deadline_is_every_messages(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with the stream, and what would be late does not run."""
    runs = watched(monkeypatch, slow_s=0.2)

    def messages() -> Iterator[pb.StreamClassifyRequest]:
        yield from (_message(str(number), *["card of my login " * 20] * 32) for number in range(50))

    call = client.stub.StreamClassify(messages(), timeout=0.5)
    explained = await refusal(_drained(call))
    assert explained.code == "DEADLINE_EXCEEDED"
    await asyncio.sleep(0.4)
    begun = len(runs.batches)
    assert begun <= 4
    await asyncio.sleep(0.4)
    assert len(runs.batches) == begun


async def _drained(call: Any) -> None:
    async for _ in call:
        pass
