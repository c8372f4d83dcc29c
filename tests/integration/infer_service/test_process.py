"""The service as a process: starting, refusing to start, stopping, and what it writes."""

import asyncio
import json
import os
import socket
import sys
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from shared.rpc.status import explain
from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.integration.infer_service.running import Client, as_process, connected, launch, refusal
from tests.integration.infer_service.shelf import POISON, Shelf

CANARY = "xylophagous"  # a word that is nowhere else


def _refused(store: Path | str, cache: Path, **settings: object) -> tuple[int, str]:
    """Start the service where it cannot run; return its exit code and its words."""
    process = launch(store, cache, **settings)
    _, stderr = process.communicate(timeout=20)
    return process.returncode, stderr


@pytest.mark.parametrize("name", ["port", "health_port", "metrics_port"])
def test_a_taken_port_is_refused_in_clear_words(tmp_path: Path, name: str) -> None:
    """Exit code 2, and the address is named; nothing is shared in silence."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        code, words = _refused(tmp_path / "store", tmp_path / "cache", **{name: port})
    assert code == 2
    assert f"127.0.0.1:{port}" in words
    assert "Traceback" not in words


def test_require_gpu_on_a_machine_without_one_is_refused_in_clear_words(tmp_path: Path) -> None:
    """Exit code 3 at the start, before any model is asked for: refusing beats answering thirty times slower."""
    if "CUDAExecutionProvider" in _available_providers():
        pytest.skip("this machine may have a GPU")
    code, words = _refused(tmp_path / "store", tmp_path / "cache", provider="require-gpu")
    assert code == 3
    assert "require-gpu" in words
    assert "CUDA" in words
    assert "Traceback" not in words


def _available_providers() -> list[str]:
    import onnxruntime  # here alone: the test's own process needs it for nothing else

    return list(onnxruntime.get_available_providers())


def test_prefer_gpu_on_a_machine_without_one_answers_from_the_cpu_and_says_so(tmp_path: Path) -> None:
    """The log tells of no provider that does not run."""
    with as_process(
        tmp_path / "store", tmp_path / "cache", provider="prefer-gpu", allow_empty=True
    ) as process:
        if "CUDAExecutionProvider" not in _available_providers():
            executions = process.event("listening")["executions"]
            assert executions[-1] == "fp32 on CPUExecutionProvider"
            assert not any("CUDA" in each for each in executions)
            process.event("gpu_not_available")


def test_bad_settings_are_refused_all_at_once(tmp_path: Path) -> None:
    """Exit code 2, every bad variable by name."""
    code, words = _refused(tmp_path, tmp_path, port="abc", provider="tpu", required_models="No Name")
    assert code == 2
    for name in ("PORT", "PROVIDER", "REQUIRED_MODELS"):
        assert f"TAGSMITH_INFER_{name}: " in words
    assert "Traceback" not in words


def test_an_unknown_kind_of_store_is_refused(tmp_path: Path) -> None:
    """Exit code 2; the URL's kind is named."""
    code, words = _refused("ftp://models.example/x", tmp_path)
    assert code == 2
    assert "ftp://" in words
    assert "Traceback" not in words


async def _ready(port: int) -> tuple[bool, bool]:
    """Liveness and readiness."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        probe = health_pb2_grpc.HealthStub(channel)
        statuses = [
            (await probe.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)).status
            for name in ("liveness", "readiness")
        ]
    alive, ready = (status == health_pb2.HealthCheckResponse.SERVING for status in statuses)
    return alive, ready


async def test_a_store_that_is_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    """Alive, not ready; when the store appears, the required model is loaded and the server is ready."""
    (tmp_path / "shelf").write_text("a file where the store's folder should be")
    with as_process(tmp_path / "shelf" / "store", tmp_path / "cache", required_models="topics") as process:
        await asyncio.to_thread(process.event, "store_unavailable")
        assert await _ready(process.health_port) == (True, False)
        (tmp_path / "shelf").unlink()
        Shelf(tmp_path / "shelf").good("topics", "classification")
        await asyncio.to_thread(process.event, "ready")
        assert await _ready(process.health_port) == (True, True)
        async with connected(process.port) as client:
            assert (await client.classify("topics", ["card"])).model_version == "topics@1"
        assert process.stop() == 0


HANGING_OPEN = "import services.infer.app as app, time; app.open_store = lambda url: time.sleep(3600)"
HANGING_READS = """
import time
from shared.store.folder import FolderStore
FolderStore.read = lambda self, key: time.sleep(3600)
"""


@pytest.mark.parametrize("sabotage", [HANGING_OPEN, HANGING_READS])
def test_a_hanging_store_does_not_keep_a_server_that_is_told_to_stop(tmp_path: Path, sabotage: str) -> None:
    """Whether it hangs when it is opened, or when aliases are read and a version is loaded, SIGTERM ends the process with 0 within
    seconds.
    """
    shelf = Shelf(tmp_path)
    version = shelf.good("topics", "classification")
    with as_process(
        shelf.folder, tmp_path / "cache", sabotage=sabotage, required_models=f"topics,{version}"
    ) as process:
        time.sleep(0.5)  # so that the store is asked
        started_s = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - started_s < 5
        assert '"event": "stopped"' in process.stderr


HANGING_RUNS = """
import time
from pathlib import Path
import services.infer.assembly as assembly
from shared.runtime.network import Pass
assembly._LONGEST_RUN_S = 0.5
compute = Pass.compute
Pass.compute = lambda self: time.sleep(3600) if Path({told!r}).exists() else compute(self)
"""


async def test_a_run_that_hangs_does_not_keep_a_server_that_is_told_to_stop(tmp_path: Path) -> None:
    """Its caller has had the grace of all; then the process ends, with 0."""
    shelf, told = Shelf(tmp_path), tmp_path / "hang"
    shelf.good("topics", "classification")
    with as_process(
        shelf.folder,
        tmp_path / "cache",
        sabotage=HANGING_RUNS.format(told=str(told)),
        required_models="topics",
        drain_grace_s=0.5,
    ) as process:
        await asyncio.to_thread(process.event, "ready")
        async with connected(process.port) as client:
            told.touch()
            call = asyncio.ensure_future(client.classify("topics", ["card"]))
            await asyncio.sleep(0.3)
            started_s = time.monotonic()
            assert await asyncio.to_thread(process.stop) == 0
            assert time.monotonic() - started_s < 10
            assert (await refusal(call)).code in ("UNAVAILABLE", "CANCELLED")


def _niceness_by_thread(pid: int) -> dict[int, int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {int(task.name): os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in tasks}


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux only")
async def test_the_event_loop_goes_before_the_runners_and_these_before_the_loader(tmp_path: Path) -> None:
    """Under overload calls must be refused faster than they come, and a model that is loaded must not slow those that answer."""
    Shelf(tmp_path).good("topics", "classification")
    with as_process(tmp_path / "store", tmp_path / "cache", required_models="topics") as process:
        await asyncio.to_thread(process.event, "ready")
        async with connected(process.port) as client:
            await client.classify("topics", ["card"])
        pid = process.process.pid
        nice = _niceness_by_thread(pid)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert nice[pid] == own
    assert set(nice.values()) == {own, min(19, own + 10), min(19, own + 15)}


def test_a_part_that_breaks_ends_the_service_with_an_event(tmp_path: Path) -> None:
    """Exit code 1, and every line on stderr is JSON: the last one tells what broke and where."""
    process = launch(
        tmp_path / "store",
        tmp_path / "cache",
        sabotage="from services.infer.residency.residency import Residency; Residency.tick = lambda self: 1 / 0",
    )
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 1
    last = [json.loads(line) for line in stderr.splitlines()][-1]
    assert (last["event"], last["level"]) == ("service_broke", "critical")
    assert "ZeroDivisionError" in last["exception"]


async def test_a_server_that_requires_no_model_is_ready_only_where_that_is_allowed(tmp_path: Path) -> None:
    """An empty list is more often a mistake than a wish: not ready, and the log says what to set; liveness is another matter."""
    Shelf(tmp_path)
    with as_process(tmp_path / "store", tmp_path / "cache") as process:
        await asyncio.to_thread(process.event, "never_ready")
        assert await _ready(process.health_port) == (True, False)
    with as_process(tmp_path / "store", tmp_path / "cache", allow_empty=True) as process:
        await asyncio.to_thread(process.event, "ready")
        assert await _ready(process.health_port) == (True, True)


async def test_sigterm_under_load_answers_every_accepted_call_and_exits_0(tmp_path: Path) -> None:
    """After SIGTERM the server is not ready but serves on; then calls in flight end, new ones are refused so that clients go
    elsewhere, and the process exits 0. No call is lost: what the server counts as answered, the clients have.
    """
    shelf = Shelf(tmp_path)
    shelf.good("topics", "classification")
    texts = ["my card of login and refund " * 20] * 8
    outcomes: list[str] = []

    async def call_on(client: Client) -> None:
        while True:
            try:
                response = await client.stub.Classify(
                    pb.ClassifyRequest(model="topics", texts=texts, top_k=1), timeout=20
                )
            except grpc.aio.AioRpcError as error:
                explained = explain(error)
                outcomes.append(f"{explained.code} {explained.reason or explained.message}")
                return
            assert len(response.results) == len(texts)
            outcomes.append("answered")

    with as_process(shelf.folder, tmp_path / "cache", required_models="topics", drain_delay_s=0.5) as process:
        await asyncio.to_thread(process.event, "ready")
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(process.port)) for _ in range(8)]
            calls = [asyncio.create_task(call_on(client)) for client in clients]
            await asyncio.sleep(0.5)
            stopping = asyncio.create_task(asyncio.to_thread(process.stop))
            await asyncio.sleep(0.25)
            answered_before = len(outcomes)
            assert await _ready(process.health_port) == (True, False)
            await asyncio.gather(*calls)
            assert await stopping == 0
    refused = [outcome for outcome in outcomes if outcome != "answered"]
    assert len(outcomes) - len(refused) > answered_before > 0
    assert refused == ["UNAVAILABLE SERVER_DRAINING"] * 8


async def test_g10_a_users_text_never_reaches_logs_or_metrics(tmp_path: Path) -> None:
    """Through every path that can go wrong: answered, poisoned, too long, wrong task, refused call, expired deadline."""
    shelf = Shelf(tmp_path)
    shelf.point(shelf.poisoned("topics"))
    with as_process(
        shelf.folder, tmp_path / "cache", required_models="topics", log_level="DEBUG", code_points_limit=500
    ) as process:
        await asyncio.to_thread(process.event, "ready")
        async with connected(process.port) as client:
            await client.classify("topics", [f"my {CANARY}", f"{POISON} {CANARY}", CANARY * 100, ""])
            for call in (
                client.extract("topics", [CANARY]),
                client.classify("topics", [CANARY] * 300),
                client.classify("topics", [CANARY], top_k=-1),
                client.classify("unknown", [CANARY]),
                client.stub.Classify(pb.ClassifyRequest(model="topics", texts=[CANARY]), timeout=0.0001),
            ):
                assert CANARY not in str(await refusal(call))
        await asyncio.to_thread(process.event, "model_run_failed")
        metrics = process.metrics()
        assert process.stop() == 0
    assert "tagsmith_texts_total" in metrics
    for written in (metrics, process.stderr):
        assert CANARY not in written.lower()
        assert POISON not in written.lower()
