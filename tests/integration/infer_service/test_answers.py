"""Answers over real sockets, from real ONNX sessions: batching, units, limits, errors."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from shared.names import VersionName
from shared.rpc.status import read_status
from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.integration.infer_service.running import Client, Service, connected, in_process, refusal
from tests.integration.infer_service.shelf import Shelf
from tests.tiny import FILLERS, NAMES, SURNAMES, TOPICS

TOPIC_MODEL, NAME_MODEL = "topics", "names"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A classifier, topics@1, and an extractor, names@1, in production; topics@2 was rejected."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    shelf.good(TOPIC_MODEL, "classification")
    shelf.good(NAME_MODEL, "entities")
    shelf.rejected(TOPIC_MODEL, "classification")
    return shelf


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """Both models loaded."""
    async with in_process(shelf, tmp_path_factory.mktemp("cache"), TOPIC_MODEL, NAME_MODEL) as service:
        yield service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(service: Service) -> AsyncIterator[Client]:
    """One client."""
    async with connected(service.port) as client:
        yield client


def _text(rng: random.Random, words: Sequence[str], *, longest: int = 40) -> str:
    return " ".join(rng.choice((*words, *FILLERS)) for _ in range(rng.choice((1, 3, 10, longest))))


async def test_g11_batched_equals_unbatched(shelf: Shelf, service: Service) -> None:
    """16 clients send 12 calls each, of both kinds, with 1 to 24 texts from one word to several windows: every answer is the one
    that the version gives to that text alone.
    """
    topics, names = shelf.model(VersionName(TOPIC_MODEL, 1)), shelf.model(VersionName(NAME_MODEL, 1))

    async def calls(client: Client, seed: int) -> None:
        rng = random.Random(seed)  # noqa: S311  # the same texts in every run
        for number in range(12):
            classify = (seed + number) % 2
            words = TOPICS if classify else NAMES + SURNAMES
            texts = [_text(rng, words, longest=150) for _ in range(rng.randint(1, 24))]
            if classify:
                response = await client.classify(TOPIC_MODEL, texts)
                for text, result in zip(texts, response.results, strict=True):
                    (alone,) = topics.answer([text])
                    found = [(each.label, each.score) for each in result.classification.labels]
                    assert [label for label, _ in found] == [each.label for each in alone]
                    assert [score for _, score in found] == pytest.approx(
                        [each.score for each in alone], abs=1e-6
                    )
            else:
                extracted = await client.extract(NAME_MODEL, texts)
                for text, outcome in zip(texts, extracted.results, strict=True):
                    (spans,) = names.answer([text])
                    entities = outcome.entities.entities
                    assert [(each.start, each.end, each.label) for each in entities] == [
                        (span.start, span.end, span.label) for span in spans
                    ]
                    assert [each.score for each in entities] == pytest.approx(
                        [span.score for span in spans], abs=1e-6
                    )

    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(service.port)) for _ in range(16)]
        await asyncio.gather(*(calls(client, seed) for seed, client in enumerate(clients)))
    runs, windows = (
        _sum(service.metrics(), "tagsmith_batch_windows_count"),
        _sum(service.metrics(), "tagsmith_batch_windows_sum"),
    )
    assert windows / runs > 3  # they were batched indeed


def _sum(metrics: str, name: str) -> float:
    return sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(name))


_UNICODE_TEXTS = [
    "we met Ada Lovelace in Paris",
    "😀😀 ada lovelace 👩‍👩‍👧 in 🇫🇷 paris",
    "naïve café Ada, então Grace Hopper",
    "日本 ada 日本 paris 日本",
    "שלום ada lovelace مرحبا paris",
    "line\r\nada\r\nlovelace\x00 paris",
    "e\u0301e\u0301 grace hopper e\u0301 \U0001d400\U0001d401 berlin",
]
_SLICES = {
    pb.UNICODE_CODE_POINTS: lambda text, start, end: text[start:end],
    pb.UTF8_BYTES: lambda text, start, end: text.encode()[start:end].decode(),
    pb.UTF16_CODE_UNITS: lambda text, start, end: text.encode("utf-16-le")[2 * start : 2 * end].decode(
        "utf-16-le"
    ),
}


@pytest.mark.parametrize("unit", list(_SLICES))
async def test_a_slice_in_the_asked_unit_is_the_surface(client: Client, unit: pb.OffsetUnit) -> None:
    """For emoji, combining marks, CJK, right-to-left, NUL and CRLF; every text's names are found."""
    response = await client.extract(NAME_MODEL, _UNICODE_TEXTS, offset_unit=unit)
    assert response.offset_unit == unit
    for text, result in zip(_UNICODE_TEXTS, response.results, strict=True):
        assert len(result.entities.entities) >= 2
        for entity in result.entities.entities:
            assert _SLICES[unit](text, entity.start, entity.end) == entity.surface
            assert entity.surface.split()[0].lower() in NAMES


async def test_the_unspecified_unit_is_code_points(client: Client) -> None:
    """And the response says so."""
    response = await client.extract(NAME_MODEL, ["😀 ada"])
    assert response.offset_unit == pb.UNICODE_CODE_POINTS
    assert [(each.start, each.end) for each in response.results[0].entities.entities] == [(2, 5)]


async def test_an_entity_far_beyond_the_window_is_found(client: Client) -> None:
    """Long texts are read in windows, and the response says in how many."""
    text = "the " * 1000 + "ada lovelace " + "of " * 1000
    result = (await client.extract(NAME_MODEL, [text])).results[0].entities
    assert [each.surface for each in result.entities] == ["ada lovelace"]
    assert result.window_count > 2000 / 62


async def test_faults_of_one_text_are_answered_in_its_place(client: Client) -> None:
    """Empty, white space and 1 MB of text: the other texts have their answers."""
    texts = ["my card", "", "refund", " \t\n", "x" * 1_000_000, "login"]
    response = await client.classify(TOPIC_MODEL, texts, top_k=1)
    reasons = [read_status(each.error).reason for each in response.results]
    assert reasons == ["", "TEXT_EMPTY", "", "TEXT_EMPTY", "TEXT_TOO_LONG", ""]
    best = [each.classification.labels[0].label for each in response.results if not each.HasField("error")]
    assert best == ["billing", "delivery", "access"]
    assert read_status(response.results[4].error).metadata == {
        "field": "texts[4]",
        "code_points": "1000000",
        "limit": "100000",
    }


async def test_a_call_with_no_readable_text_is_still_answered(client: Client) -> None:
    """With the version and an error for each text."""
    response = await client.extract(NAME_MODEL, ["", " "])
    assert response.model_version == "names@1"
    assert [read_status(each.error).reason for each in response.results] == ["TEXT_EMPTY"] * 2


async def test_long_texts_block_nobody(client: Client) -> None:
    """While 2 MB of text are tokenized, run and decoded, the event loop goes on, and short calls
    of others are answered between.
    """
    text = "the card of my login " * 4761 + "ada"
    longest_s, short_calls = 0.0, 0

    async def beat() -> None:
        nonlocal longest_s
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(0.01)
            longest_s = max(longest_s, time.monotonic() - before_s)

    async def call() -> None:
        nonlocal short_calls
        while True:
            await client.extract(NAME_MODEL, ["paris"])
            short_calls += 1

    others = [asyncio.create_task(beat()), asyncio.create_task(call())]
    response = await client.extract(NAME_MODEL, [text] * 20)
    assert not any(other.done() for other in others)
    for other in others:
        other.cancel()
    assert all([each.surface for each in result.entities.entities] == ["ada"] for result in response.results)
    assert longest_s < 1.0
    assert short_calls > 10


@pytest.mark.parametrize(
    ("request_fields", "reason", "field"),
    [
        ({"texts": []}, "BATCH_SIZE_INVALID", "texts"),
        ({"texts": ["x"] * 257}, "BATCH_SIZE_INVALID", "texts"),
        ({"texts": ["x"], "top_k": -1}, "FIELD_INVALID", "top_k"),
        ({"texts": ["x"], "min_score": 1.5}, "FIELD_INVALID", "min_score"),
        ({"texts": ["x"], "min_score": float("nan")}, "FIELD_INVALID", "min_score"),
        ({"texts": ["x"], "model": "No Name"}, "NAME_MALFORMED", "model"),
        ({"texts": ["x"], "model": ""}, "NAME_MALFORMED", "model"),
        ({"texts": ["x"], "model": "topics@1@2"}, "NAME_MALFORMED", "model"),
    ],
)
async def test_a_call_out_of_range_is_refused_by_the_name_of_its_field(
    client: Client, request_fields: dict[str, object], reason: str, field: str
) -> None:
    """INVALID_ARGUMENT with the field in the metadata and in BadRequest."""
    request = pb.ClassifyRequest(**{"model": TOPIC_MODEL, **request_fields})  # type: ignore[arg-type]
    explained = await refusal(client.stub.Classify(request))
    assert (explained.code, explained.reason) == ("INVALID_ARGUMENT", reason)
    assert explained.metadata["field"] == field
    assert [problem.field for problem in explained.problems] == [field]


async def test_257_texts_are_too_many_and_256_are_not(client: Client) -> None:
    """The limit itself is legal."""
    response = await client.classify(TOPIC_MODEL, ["card"] * 256, top_k=1)
    assert len(response.results) == 256


@pytest.mark.parametrize(
    ("model", "code", "reason"),
    [
        ("unknown", "NOT_FOUND", "MODEL_NOT_FOUND"),
        ("unknown@7", "NOT_FOUND", "MODEL_NOT_FOUND"),
        ("topics@canary", "NOT_FOUND", "ALIAS_NOT_FOUND"),
        ("topics@99", "NOT_FOUND", "VERSION_NOT_FOUND"),
        ("topics@2", "FAILED_PRECONDITION", "VERSION_REJECTED"),
        ("names", "FAILED_PRECONDITION", "TASK_MISMATCH"),
    ],
)
async def test_models_that_cannot_answer_are_refused_at_once(
    client: Client, model: str, code: str, reason: str
) -> None:
    """Each with its own reason, the first time and after."""
    for _ in range(2):
        explained = await refusal(
            client.stub.Classify(pb.ClassifyRequest(model=model, texts=["x"]), timeout=5)
        )
        assert (explained.code, explained.reason) == (code, reason)


async def test_top_k_and_min_score_leave_labels_out(client: Client) -> None:
    """0 asks for all labels, which sum to 1; otherwise the best ones above the score."""
    everything = (await client.classify(TOPIC_MODEL, ["my card"])).results[0].classification.labels
    assert len(everything) == 3
    assert sum(each.score for each in everything) == pytest.approx(1)
    for fields in ({"top_k": 1}, {"min_score": 0.5}):
        (best,) = (await client.classify(TOPIC_MODEL, ["my card"], **fields)).results[0].classification.labels
        assert best.label == "billing"
    assert not (await client.extract(NAME_MODEL, ["ada"], min_score=1.0)).results[0].entities.entities


async def test_timing_tells_the_truth(client: Client) -> None:
    """Tokens are counted with special ones and overlaps; the parts are within the whole."""
    started_s = time.monotonic()
    timing = (await client.classify(TOPIC_MODEL, ["my card", "refund"])).timing
    whole_s = time.monotonic() - started_s
    assert timing.token_count == (2 + 2) + (1 + 2)
    parts_s = [
        part.ToTimedelta().total_seconds()
        for part in (timing.tokenize_duration, timing.queue_duration, timing.inference_duration)
    ]
    assert all(part_s >= 0 for part_s in parts_s)
    assert 0 < sum(parts_s) <= whole_s


async def test_loaded_models_are_told_in_truth(client: Client) -> None:
    """Version, task, provider, aliases, labels and size, by name; and one by any reference that leads to it."""
    response = await client.stub.ListLoadedModels(pb.ListLoadedModelsRequest())
    assert [each.model_version for each in response.loaded_models] == ["names@1", "topics@1"]
    topics = response.loaded_models[1]
    assert (topics.task, topics.state, topics.variant) == ("classification", pb.LoadedModel.ACTIVE, "fp32")
    assert topics.execution_provider == "CPUExecutionProvider"
    assert (list(topics.aliases), list(topics.labels)) == (["production"], ["billing", "delivery", "access"])
    assert topics.graph_bytes > 1000
    assert (topics.golden_example_count, topics.is_failing_probes, topics.failed_load_count) == (2, False, 0)
    for reference in ("topics", "topics@production", "topics@1"):
        assert await client.stub.GetLoadedModel(pb.GetLoadedModelRequest(model=reference)) == topics
    assert (
        await refusal(client.stub.GetLoadedModel(pb.GetLoadedModelRequest(model="unknown")))
    ).code == "NOT_FOUND"


@pytest.mark.parametrize("request_bytes", [b"\xff\xff\xff", b"\x12\x03\xed\xa0\x80"])
async def test_bytes_that_are_no_request_are_told_so(client: Client, request_bytes: bytes) -> None:
    """No message at all, and a text that is not UTF-8: INVALID_ARGUMENT with a reason, counted as such."""
    call = client.channel.unary_unary("/tagsmith.inference.v1.InferenceService/Classify")(request_bytes)
    refused = await refusal(call)
    assert (refused.code, refused.reason) == ("INVALID_ARGUMENT", "FIELD_INVALID")
    assert "request: cannot be read" in refused.message


async def test_reflection_and_health_answer(service: Service) -> None:
    """Tools can list the service; probes have a port of their own, with nothing else on it."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.port}") as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        async for response in stub.ServerReflectionInfo(iter([request])):
            names = {each.name for each in response.list_services_response.service}
            assert "tagsmith.inference.v1.InferenceService" in names
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.health_port}") as channel:
        probe = health_pb2_grpc.HealthStub(channel)
        for name in ("liveness", "startup", "readiness"):
            status = (await probe.Check(health_pb2.HealthCheckRequest(service=name))).status
            assert status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary("/tagsmith.inference.v1.InferenceService/Classify")(b"")
