"""The service, running: inside the test's event loop (so that tests can look at it) or as a process of its own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from services.infer.app import serve
from services.infer.settings import InferSettings
from shared.rpc.status import Explained, explain
from shared.stubs.inference.v1 import inference_pb2 as pb
from shared.stubs.inference.v1.inference_pb2_grpc import InferenceServiceStub
from tests.integration.infer_service.shelf import Shelf

DEFAULTS: dict[str, Any] = {
    "port": 0,
    "health_port": 0,
    "metrics_port": 0,
    "provider": "cpu",
    "threads": 2,
    "poll_interval_ms": 50,
    "drain_delay_s": 0,
    "drain_grace_s": 20,
}


class Client:
    """Calls over one connection, retrying MODEL_LOADING and nothing else."""

    def __init__(self, address: str, channel: grpc.aio.Channel) -> None:
        self.address = address
        self.channel = channel
        self.stub = InferenceServiceStub(channel)

    async def classify(self, model: str, texts: list[str], **fields: Any) -> pb.ClassifyResponse:
        return await self._when_loaded(
            self.stub.Classify, pb.ClassifyRequest(model=model, texts=texts, **fields)
        )

    async def extract(self, model: str, texts: list[str], **fields: Any) -> pb.ExtractEntitiesResponse:
        request = pb.ExtractEntitiesRequest(model=model, texts=texts, **fields)
        return await self._when_loaded(self.stub.ExtractEntities, request)

    async def states(self) -> dict[str, str]:
        """Every version in memory and its state."""
        response = await self.stub.ListLoadedModels(pb.ListLoadedModelsRequest(), timeout=10)
        return {each.model_version: pb.LoadedModel.State.Name(each.state) for each in response.loaded_models}

    async def until(self, version: object, state: str, within_s: float = 10) -> None:
        """Wait until a version has a state."""
        async with asyncio.timeout(within_s):
            while True:
                if (await self.states()).get(str(version)) == state:
                    return
                await asyncio.sleep(0.02)

    async def _when_loaded(self, method: Any, request: Any) -> Any:
        while True:
            try:
                return await method(request, timeout=20)
            except grpc.aio.AioRpcError as error:
                explained = explain(error)
                if explained.reason != "MODEL_LOADING":
                    raise
                assert explained.retry_after_ms
                await asyncio.sleep(0.02)


async def is_ready(health_port: int) -> bool:
    """What a readiness probe hears."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{health_port}") as channel:
        request = health_pb2.HealthCheckRequest(service="readiness")
        status = (await health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)).status
    return bool(status == health_pb2.HealthCheckResponse.SERVING)


async def refusal(call: Any) -> Explained:
    """Await a call that must fail, and read why."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return explain(error)
    raise AssertionError("the call was answered")


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    """A client with a connection of its own."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield Client(f"127.0.0.1:{port}", channel)


class Service:
    """A running service's ports and what it has logged."""

    def __init__(
        self, ports: dict[str, int], logs: list[Any], running: "asyncio.Task[None] | None" = None
    ) -> None:
        self.port, self.health_port = ports["port"], ports["health_port"]
        self.metrics_port = ports["metrics_port"]
        self.logs = logs
        self.running = running  # ends when the service does; None of a process

    def metrics(self) -> str:
        """What Prometheus would see."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as response:
            return str(response.read().decode())


def _ports(event: dict[str, Any]) -> dict[str, int]:
    return {name: event[name] for name in ("port", "health_port", "metrics_port")}


@asynccontextmanager
async def in_process(shelf: Shelf, cache: Path, *required: str, **settings: Any) -> AsyncIterator[Service]:
    """The service in this event loop, listening; stopped in order at the end."""
    stop = asyncio.Event()
    with capture_logs() as logs:
        values = {**DEFAULTS, "required_models": required, "allow_empty": True, **settings}
        running = asyncio.create_task(
            serve(InferSettings(TAGSMITH_STORE=str(shelf.folder), cache_dir=cache, **values), stop)
        )
        try:
            async with asyncio.timeout(20):
                while not any(event["event"] == "ready" for event in logs):
                    await asyncio.sleep(0.01)
                    if running.done():
                        running.result()
            ports = _ports(next(each for each in logs if each["event"] == "listening"))
            yield Service(ports, logs, running)
        finally:
            stop.set()
            await running


class Process(Service):
    """The service as a process, its stderr read to the end."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        super().__init__(_ports(self.event("listening")), [])

    def event(self, name: str, within_s: float = 20) -> dict[str, Any]:
        """Wait for a log event."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            for line in self.lines:
                if f'"event": "{name}"' in line:
                    return dict(json.loads(line))
            if self.process.poll() is not None and not self._reader.is_alive():
                break
            time.sleep(0.01)
        raise AssertionError(f"no event {name!r}; the process said:\n{self.stderr}")

    @property
    def stderr(self) -> str:
        """Everything written so far."""
        return "".join(self.lines)

    def rss_bytes(self) -> int:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self._reader.join(5)
        return code

    def _read(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(iter(self.process.stderr.readline, ""))


def _environment(store: Path | str, cache: Path, settings: dict[str, Any]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAGSMITH_")}
    own = {f"TAGSMITH_INFER_{name.upper()}": str(value) for name, value in {**DEFAULTS, **settings}.items()}
    return {
        **kept,
        **own,
        "TAGSMITH_STORE": str(store),
        "TAGSMITH_INFER_CACHE_DIR": str(cache),
        "OMP_NUM_THREADS": "1",
    }


def launch(store: Path | str, cache: Path, *, sabotage: str = "", **settings: Any) -> "subprocess.Popen[str]":
    """Start the process and return at once; `sabotage` is run in it before the service."""
    program = f"{sabotage}\nimport runpy; runpy.run_module('services.infer', run_name='__main__')"
    return subprocess.Popen(
        [sys.executable, *(["-c", program] if sabotage else ["-m", "services.infer"])],
        env=_environment(store, cache, settings),
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def as_process(store: Path, cache: Path, **settings: Any) -> Iterator[Process]:
    """The service in a process of its own, listening; killed at the end if it still runs."""
    process = launch(store, cache, **settings)
    try:
        yield Process(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
