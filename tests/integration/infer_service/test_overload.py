"""Deadlines and admission where runs are slow and the service knows it: by a measured cost grid, over real sockets."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from shared.rpc.status import explain
from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.integration.infer_service.running import Client, Service, connected, in_process, refusal
from tests.integration.infer_service.runs import Runs, tell_costs, watched
from tests.integration.infer_service.shelf import Shelf

RUN_S = 0.3
BATCH_TOKENS = 16
SETTINGS: dict[str, Any] = {"threads": 1, "batch_tokens": BATCH_TOKENS}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """One runner; that each batch of up to 16 tokens takes RUN_S was measured, as it were, by the service that ran here before."""
    shelf = Shelf(tmp_path)
    shelf.good("topics", "classification")
    async with in_process(shelf, tmp_path / "cache", "topics", **SETTINGS):
        pass
    tell_costs(tmp_path / "cache", run_s=RUN_S, batch_tokens=BATCH_TOKENS)
    async with in_process(shelf, tmp_path / "cache", "topics", **SETTINGS) as service:
        yield service


@pytest.fixture
async def client(service: Service) -> AsyncIterator[Client]:
    """One client, whose connection stands."""
    async with connected(service.port) as client:
        await client.states()
        yield client


@pytest.fixture
def runs(service: Service, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Each takes RUN_S in truth, too."""
    return watched(monkeypatch, slow_s=RUN_S)


def _classify(client: Client, *texts: str, timeout_s: float = 20) -> grpc.aio.UnaryUnaryCall:
    return client.stub.Classify(pb.ClassifyRequest(model="topics", texts=texts, top_k=1), timeout=timeout_s)


async def test_what_was_measured_is_told_and_kept(client: Client) -> None:
    """GetLoadedModel gives the grid that the service goes by; the second start did not measure again."""
    loaded = await client.stub.GetLoadedModel(pb.GetLoadedModelRequest(model="topics"))
    assert {(cost.windows, cost.tokens) for cost in loaded.run_costs} >= {(1, 8), (2, 8), (1, 16), (1, 64)}
    for cost in loaded.run_costs:
        runs = max(1, cost.windows * cost.tokens / BATCH_TOKENS)
        assert cost.duration.ToTimedelta().total_seconds() == pytest.approx(RUN_S * runs)
    assert loaded.memory_bytes > loaded.graph_bytes > 0


async def test_g9_a_deadline_that_cannot_be_met_is_refused_at_once(client: Client, runs: Runs) -> None:
    """With ten runs waiting, a call that has time for three of them is told RESOURCE_EXHAUSTED and when to come again, in a small part
    of a run; one that has time for fifteen is answered.
    """
    waiting = [asyncio.ensure_future(_classify(client, *["card my login help with"] * 2)) for _ in range(11)]
    await asyncio.sleep(RUN_S / 2)
    patient = asyncio.ensure_future(_classify(client, "refund", timeout_s=15 * RUN_S))
    for _ in range(3):
        started_s = time.monotonic()
        explained = await refusal(_classify(client, "refund", timeout_s=3 * RUN_S))
        assert time.monotonic() - started_s < RUN_S / 2
        assert (explained.code, explained.reason) == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")
        assert explained.retry_after_ms
        assert explained.retry_after_ms > 1000 * RUN_S
    assert (await patient).results[0].classification.labels[0].label == "delivery"
    assert len(await asyncio.gather(*waiting)) == 11
    assert sum(runs.sizes) == 2 * 11 + 1


async def test_a_deadline_that_no_run_could_meet_never_reaches_the_model(client: Client, runs: Runs) -> None:
    """Half a run of time, on an idle service: DEADLINE_EXCEEDED at once, and nothing runs."""
    started_s = time.monotonic()
    explained = await refusal(_classify(client, "card", timeout_s=RUN_S / 2))
    assert (explained.code, explained.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXPIRED_IN_QUEUE")
    assert time.monotonic() - started_s < RUN_S / 4
    await asyncio.sleep(RUN_S)
    assert runs.batches == []
    assert len((await _classify(client, "card")).results) == 1


async def test_bulk_that_waits_is_no_reason_to_refuse_a_call(client: Client, runs: Runs) -> None:
    """Minutes of a stream's work wait; calls run before it, so those with time for a few runs are answered in time."""
    text = "help with my card of login and refund"
    requests = [pb.ClassifyRequest(model="topics", texts=[text] * 200) for _ in range(20)]
    stream = client.stub.StreamClassify(
        iter([pb.StreamClassifyRequest(request=each) for each in requests]), timeout=60
    )
    await asyncio.sleep(2 * RUN_S)
    for _ in range(3):
        begun = len(runs.batches)
        try:
            await _classify(client, "refund", timeout_s=5 * RUN_S)
        except grpc.aio.AioRpcError as error:
            pytest.fail(explain(error).message)
        assert len(runs.batches) - begun <= 3
    stream.cancel()
