"""Many callers at once, slow runs, bad windows: over real sockets, from real ONNX sessions that a test can slow down."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import pytest

from shared.rpc.status import explain, read_status
from shared.runtime.model import Model
from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.integration.infer_service.running import Client, connected, in_process, refusal
from tests.integration.infer_service.runs import Runs, watched
from tests.integration.infer_service.shelf import POISON, Shelf

RUN_S = 0.3


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Makes every run take RUN_S longer, from now on."""
    return watched(monkeypatch, slow_s=RUN_S)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A service with one runner and room for 40 waiting tokens; its model was loaded before any test slowed it down."""
    shelf = Shelf(tmp_path)
    shelf.good("topics", "classification")
    async with (
        in_process(shelf, tmp_path / "cache", "topics", threads=1, queue_limit_tokens=40) as service,
        connected(service.port) as client,
    ):
        yield client


def _classify(client: Client, *texts: str, timeout_s: float = 10) -> grpc.aio.UnaryUnaryCall:
    return client.stub.Classify(pb.ClassifyRequest(model="topics", texts=texts, top_k=1), timeout=timeout_s)


def _labels(response: pb.ClassifyResponse) -> list[str]:
    return [result.classification.labels[0].label for result in response.results]


async def test_a_cancelled_caller_never_changes_its_batch_mates_answers(client: Client, runs: Runs) -> None:
    """Of callers that share batches some hang up, before and during their run: the others have their answers."""
    run_s = runs.slow_s = 3 * RUN_S  # all of them must have come in while one run lasts
    busy = _classify(client, "card")
    await asyncio.sleep(run_s / 3)
    leaving_before, leaving_during = _classify(client, "parcel"), _classify(client, "driver")
    await asyncio.sleep(run_s / 6)  # its window comes first in the batch
    staying = [_classify(client, word) for word in ("refund", "login", "card")]
    await asyncio.sleep(run_s / 3)
    leaving_before.cancel()
    await asyncio.sleep(run_s)
    leaving_during.cancel()
    assert [_labels(await call) for call in staying] == [["delivery"], ["access"], ["billing"]]
    assert _labels(await busy) == ["billing"]
    assert runs.sizes == [1, 4]  # the first leaver never reached the model


async def test_a_callers_deadline_is_kept_and_its_text_never_runs(client: Client, runs: Runs) -> None:
    """DEADLINE_EXCEEDED comes at the deadline, not when the runner comes free, and from the server: with its reason."""
    busy = _classify(client, "card")
    await asyncio.sleep(RUN_S / 3)
    started_s = time.monotonic()
    late = await refusal(_classify(client, "refund", timeout_s=RUN_S / 2))
    assert (late.code, late.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXPIRED_IN_QUEUE")
    assert time.monotonic() - started_s < 0.6 * RUN_S
    await busy
    assert _labels(await _classify(client, "login")) == ["access"]
    assert runs.sizes == [1, 1]


async def test_g9_overload_is_refused_fast_with_a_delay_to_retry(client: Client, runs: Runs) -> None:
    """Of 60 calls at once as many wait as there is room for; the others hear RESOURCE_EXHAUSTED within a fraction of one run, and
    later calls are answered again.
    """
    started_s = time.monotonic()
    refused_s: list[float] = []

    async def call() -> str:
        try:
            # Of several words: calls that arrive before any of them is tokenized count by their length, one word as a token.
            return _labels(await _classify(client, "please help with my card"))[0]
        except grpc.aio.AioRpcError as error:
            explained = explain(error)
            assert (explained.code, explained.reason) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")
            assert explained.retry_after_ms
            assert int(explained.metadata["queued_tokens"]) >= 40
            refused_s.append(time.monotonic() - started_s)
            return "refused"

    outcomes = await asyncio.gather(*(call() for _ in range(60)))
    assert set(outcomes) == {"billing", "refused"}
    assert len(refused_s) >= 40
    assert max(refused_s) < RUN_S
    assert _labels(await _classify(client, "card")) == ["billing"]
    assert runs.sizes


async def test_a_poisoned_text_fails_alone(tmp_path: Path) -> None:
    """One text makes ONNX Runtime raise: only it gets INTERNAL with an incident id; texts beside it and other callers' batches
    are answered.
    """
    shelf = Shelf(tmp_path)
    shelf.point(shelf.poisoned("topics"))
    async with (
        in_process(shelf, tmp_path / "cache", "topics", threads=1) as service,
        connected(service.port) as client,
    ):

        async def good() -> None:
            for _ in range(20):
                assert _labels(await _classify(client, "card", "refund")) == ["billing", "delivery"]

        async def bad() -> None:
            for _ in range(10):
                response = await client.classify("topics", ["card", f"my {POISON} card", "login"], top_k=1)
                first, second, third = response.results
                assert first.classification.labels[0].label == "billing"
                assert third.classification.labels[0].label == "access"
                explained = read_status(second.error)
                assert (explained.code, explained.reason) == ("INTERNAL", "INTERNAL")
                assert explained.metadata["incident"] in {each.get("incident") for each in service.logs}

        await asyncio.gather(*(good() for _ in range(6)), *(bad() for _ in range(2)))


async def test_a_call_of_many_parts_fails_as_one(client: Client, runs: Runs) -> None:
    """When the deadline passes amid a call with much text, the call fails once and nothing of it goes on running."""
    texts = ["the card of my login " * 2000] * 10
    assert (await refusal(_classify(client, *texts, timeout_s=RUN_S * 2))).code == "DEADLINE_EXCEEDED"
    await asyncio.sleep(RUN_S * 2)
    ran = len(runs.sizes)
    await asyncio.sleep(RUN_S * 2)
    assert len(runs.sizes) == ran
    assert _labels(await _classify(client, "card")) == ["billing"]


async def test_a_call_that_breaks_amid_its_parts_stops(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault that is nobody's text's fails the call as INTERNAL, and no further part of it is worked off."""
    encoded: list[int] = []
    encode = Model.encode

    def encode_or_break(model: Model, texts: Sequence[str]) -> object:
        encoded.append(len(texts))
        if texts[0].startswith("break"):
            raise RuntimeError("a bug")
        time.sleep(0.1)
        return encode(model, texts)

    monkeypatch.setattr(Model, "encode", encode_or_break)
    long = "the card of my login " * 2000
    explained = await refusal(_classify(client, f"break {long}", *[long] * 20))
    assert (explained.code, explained.reason) == ("INTERNAL", "INTERNAL")
    await asyncio.sleep(1)
    assert len(encoded) <= 4
    monkeypatch.undo()
    assert _labels(await _classify(client, "card")) == ["billing"]
