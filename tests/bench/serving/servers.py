"""The two servers, each as a process of its own: the naive one and Tagsmith's inference service."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.serving.arms import Arm
from tests.bench.serving.preparing import Prepared
from tests.bench.serving.processes import family

NAIVE, TAGSMITH, ECHO = "naive", "tagsmith", "echo"
_START_TIMEOUT_S: Final = 120.0
_STOP_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    name: str
    address: str
    process: "subprocess.Popen[str]"
    metrics_address: str | None = None

    @property
    def pids(self) -> list[int]:
        """Its process and all that it has started."""
        return family(self.process.pid)

    def metrics(self) -> str:
        """Return what Prometheus would see, nothing of a server without metrics."""
        if self.metrics_address is None:
            return ""
        with urllib.request.urlopen(f"http://{self.metrics_address}/metrics") as response:  # ours
            return str(response.read().decode())


@contextmanager
def naive_server(arm: Arm, prepared: Prepared, model: str) -> Iterator[Server]:
    """Run the naive server over a version's graph until the end of the block."""
    manifest = prepared.manifest(model)
    graph, tokenizer = prepared.graph(manifest, arm.variant), prepared.path(manifest.tokenization.file)
    module = "tests.bench.serving.naive"
    command = [arm.python, "-m", module, str(graph), arm.provider, str(tokenizer), str(manifest.version)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(manifest.labels) + "\n")
            process.stdin.flush()
            yield Server(NAIVE, f"127.0.0.1:{int(process.stdout.readline())}", process)
        finally:
            process.kill()


@contextmanager
def echo_server() -> Iterator[Server]:
    """Run the bare echo server until the end of the block."""
    command = [sys.executable, "-m", "tests.bench.serving.echo"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Server(ECHO, f"127.0.0.1:{int(process.stdout.readline())}", process)
        finally:
            process.kill()


@contextmanager
def tagsmith_server(
    arm: Arm, prepared: Prepared, required: Sequence[str], **settings: Any
) -> Iterator[Server]:
    """Run the inference service until the end of the block; it is ready with all of `required`. `settings` are TAGSMITH_INFER_*."""
    chosen = {
        "port": 0,
        "health_port": 0,
        "metrics_port": 0,
        "cache_dir": prepared.folder / "cache",
        "required_models": ",".join(required),
        "drain_delay_s": 0,
        **arm.settings,
        **settings,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TAGSMITH_")}
    own = {f"TAGSMITH_INFER_{name.upper()}": str(value) for name, value in chosen.items()}
    log_path = prepared.folder / "tagsmith.log"
    with (
        log_path.open("w") as log,
        subprocess.Popen(
            [arm.python, "-m", "services.infer"],
            env={**kept, **own, "TAGSMITH_STORE": str(prepared.store)},
            stdout=log,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            ready = _wait_ready(process, log_path)
            yield Server(
                TAGSMITH,
                f"127.0.0.1:{ready['port']}",
                process,
                metrics_address=f"127.0.0.1:{ready['metrics_port']}",
            )
        finally:
            _stop(process)


def _wait_ready(process: "subprocess.Popen[str]", log_path: Path) -> dict[str, Any]:
    give_up_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < give_up_s and process.poll() is None:
        for line in log_path.read_text().splitlines():
            if '"event": "ready"' in line:
                return dict(json.loads(line))
        time.sleep(0.05)
    raise RuntimeError(f"the inference service is not ready; it said:\n{log_path.read_text()}")


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
