"""Whether what models run on still gives right answers: what probes find, what they make of it, and what must not count."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.infer.probing import AcceleratorBrokenError
from shared.rpc.status import read_status
from shared.runtime.model import Model
from shared.runtime.session import GraphSession
from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.integration.infer_service.running import (
    Client,
    Service,
    as_process,
    connected,
    in_process,
    is_ready,
    refusal,
)
from tests.integration.infer_service.runs import break_graphs, watched
from tests.integration.infer_service.shelf import POISON, Shelf

_SERVING, _NOT_SERVING = (
    health_pb2.HealthCheckResponse.SERVING,
    health_pb2.HealthCheckResponse.NOT_SERVING,
)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """A classifier, an extractor, and a classifier that one word breaks."""
    shelf = Shelf(tmp_path)
    shelf.good("topics", "classification")
    shelf.good("names", "entities")
    shelf.point(shelf.poisoned("fragile"))
    return shelf


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models that were probed since."""
    names: list[str] = []
    probe = Model.probe

    def noted(model: Model) -> None:
        names.append(model.manifest.model)
        probe(model)

    monkeypatch.setattr(Model, "probe", noted)
    return names


@asynccontextmanager
async def _readiness(service: Service) -> AsyncIterator[list[int]]:
    """Everything that somebody who watches readiness hears."""
    heard: list[int] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.health_port}") as channel:
        call = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="readiness"))

        async def listen() -> None:
            async for response in call:
                heard.append(response.status)

        listening = asyncio.create_task(listen())
        while not heard:  # noqa: ASYNC110  # filled by another task
            await asyncio.sleep(0.01)
        yield heard
        listening.cancel()


async def _ended(service: Service, within_s: float = 10) -> None:
    assert service.running is not None
    await asyncio.wait((service.running,), timeout=within_s)
    assert service.running.done()


async def test_g8_a_server_whose_runs_all_fail_leaves_rotation_and_ends(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one moment on everything that computes raises: the caller's text is answered INTERNAL, the next probe turns readiness
    NOT_SERVING while liveness stays, and after a few more the service ends for that reason.
    """
    with pytest.raises(AcceleratorBrokenError, match="topics@1 failed 3 probes"):  # noqa: PT012  # raised where the service ends
        async with (
            in_process(shelf, tmp_path / "cache", "topics") as service,
            connected(service.port) as client,
            _readiness(service) as heard,
        ):
            await client.classify("topics", ["card"])
            break_graphs(monkeypatch)
            (result,) = (await client.classify("topics", ["card"])).results
            assert read_status(result.error).code == "INTERNAL"
            async with asyncio.timeout(5):
                while heard != [_SERVING, _NOT_SERVING]:  # noqa: ASYNC110  # filled by another task
                    await asyncio.sleep(0.01)
            assert not await is_ready(service.health_port)
            assert 'tagsmith_failed_probes_total{model="topics"}' in service.metrics()
            await _ended(service)
    assert heard == [_SERVING, _NOT_SERVING]
    assert [each["event"] for each in service.logs].count("probe_failed") == 3


BREAKS_WHEN_TOLD = """
from pathlib import Path
from shared.runtime.session import GraphSession
run = GraphSession.run
def breaks(*args):
    if Path({told!r}).exists():
        raise RuntimeError("CUDA error 719: unspecified launch failure")
    return run(*args)
GraphSession.run = breaks
"""


async def test_g8_the_process_ends_with_4_and_says_why(shelf: Shelf, tmp_path: Path) -> None:
    """So that whoever watches it starts it anew: the last line of its log is the reason."""
    told = tmp_path / "break"
    sabotage = BREAKS_WHEN_TOLD.format(told=str(told))
    with as_process(shelf.folder, tmp_path / "cache", sabotage=sabotage, required_models="topics") as process:
        await asyncio.to_thread(process.event, "ready")
        async with connected(process.port) as client:
            await client.classify("topics", ["card"])
            assert await is_ready(process.health_port)
            told.touch()
            await client.classify("topics", ["card"])
            await asyncio.to_thread(process.event, "not_ready")
        assert await asyncio.to_thread(process.process.wait, 10) == 4
        broken = await asyncio.to_thread(process.event, "accelerator_broken")
    assert broken["level"] == "critical"
    assert broken["message"] == "topics@1 failed 3 probes in a row"
    assert '"event": "accelerator_broken"' in process.lines[-1]


HANGS_WHEN_TOLD = """
import time
from pathlib import Path
import services.infer.assembly as assembly, services.infer.probing as probing
from shared.runtime.network import Pass
assembly._LONGEST_RUN_S = probing.HANGING_S = probing._LOOK_S = 0.5
compute = Pass.compute
Pass.compute = lambda self: time.sleep(3600) if Path({told!r}).exists() else compute(self)
"""


async def test_g8_runs_that_never_return_end_the_process(shelf: Shelf, tmp_path: Path) -> None:
    """A lost accelerator may raise nothing at all."""
    told = tmp_path / "hang"
    sabotage = HANGS_WHEN_TOLD.format(told=str(told))
    with as_process(shelf.folder, tmp_path / "cache", sabotage=sabotage, required_models="topics") as process:
        await asyncio.to_thread(process.event, "ready")
        told.touch()
        async with connected(process.port) as client:
            call = asyncio.ensure_future(client.classify("topics", ["card"]))
            assert await asyncio.to_thread(process.process.wait, 20) == 4
            broken = await asyncio.to_thread(process.event, "accelerator_broken")
            assert (await refusal(call)).code in ("UNAVAILABLE", "CANCELLED")
    assert "has not returned" in broken["message"]


async def test_g8_wrong_answers_are_found_when_nobody_asks(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An accelerator that computes, but otherwise than it did: golden examples are asked when the server is idle."""
    with pytest.raises(AcceleratorBrokenError):  # noqa: PT012  # raised where the service ends
        async with in_process(shelf, tmp_path / "cache", "topics", probe_interval_s=0.1) as service:
            run = GraphSession.run
            monkeypatch.setattr(GraphSession, "run", lambda *args: [-output for output in run(*args)])
            await _ended(service)
    assert "not_ready" in [each["event"] for each in service.logs]


async def test_g8_a_poisoned_text_alone_is_no_reason(shelf: Shelf, tmp_path: Path, probed: list[str]) -> None:
    """Its model is probed, and passes: readiness never changes, and others are answered."""
    async with (
        in_process(shelf, tmp_path / "cache", "fragile", "topics") as service,
        connected(service.port) as client,
        _readiness(service) as heard,
    ):
        for _ in range(15):
            poisoned, good = (await client.classify("fragile", [f"my {POISON}", "card"])).results
            assert read_status(poisoned.error).code == "INTERNAL"
            assert good.HasField("classification")
            await asyncio.sleep(0.1)
        assert heard == [_SERVING]
        assert "topics" not in probed
        assert 1 <= len(probed) <= 4  # a flood of such texts does not keep the probe busy
        assert "probe_failed" not in [each["event"] for each in service.logs]


async def test_a_version_that_fails_its_probes_says_so(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GetLoadedModel tells of the version, not of the server alone; it is ACTIVE, since calls still reach it."""
    async with (
        in_process(shelf, tmp_path / "cache", "topics", probe_interval_s=0.05) as service,
        connected(service.port) as client,
    ):
        request = pb.GetLoadedModelRequest(model="topics")
        before = await client.stub.GetLoadedModel(request)
        assert (before.state, before.is_failing_probes) == (pb.LoadedModel.ACTIVE, False)
        with monkeypatch.context() as broken:
            break_graphs(broken)
            async with asyncio.timeout(10):
                while not (await client.stub.GetLoadedModel(request)).is_failing_probes:  # noqa: ASYNC110  # only asking tells
                    await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            while (await client.stub.GetLoadedModel(request)).is_failing_probes:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await client.stub.GetLoadedModel(request) == before


async def test_an_idle_server_probes_what_it_has_in_turn(
    shelf: Shelf, tmp_path: Path, probed: list[str]
) -> None:
    """One version after each interval."""
    async with in_process(shelf, tmp_path / "cache", "topics", "names", "fragile", probe_interval_s=0.1):
        probed.clear()  # what was there before all were
        async with asyncio.timeout(10):
            while len(probed) < 4:  # noqa: ASYNC110  # filled by a thread
                await asyncio.sleep(0.02)
    assert sorted(probed[:3]) == ["fragile", "names", "topics"]
    assert probed[3] == probed[0]


async def test_g8_a_long_queue_is_no_reason(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probed: list[str]
) -> None:
    """Overload is told to callers, not to whoever asks whether to send them here; a busy server is not probed either."""
    settings = {"threads": 1, "queue_limit_tokens": 200, "batch_tokens": 32, "probe_interval_s": 0.05}
    async with (
        in_process(shelf, tmp_path / "cache", "topics", **settings) as service,
        connected(service.port) as client,
        _readiness(service) as heard,
    ):
        watched(monkeypatch, slow_s=0.1)
        calls = [asyncio.create_task(_outcome(client)) for _ in range(40)]
        await asyncio.sleep(0.1)
        probed.clear()
        await asyncio.sleep(0.3)
        assert probed == []
        assert sorted(set(await asyncio.gather(*calls))) == ["OK", "RESOURCE_EXHAUSTED"]
        assert heard == [_SERVING]


async def _outcome(client: Client) -> str:
    try:
        request = pb.ClassifyRequest(model="topics", texts=["please help with my card"] * 4)
        await client.stub.Classify(request, timeout=20)
    except grpc.aio.AioRpcError as error:
        return str(error.code().name)
    return "OK"
