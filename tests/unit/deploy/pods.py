"""Runs a service the way its pod does: the pod's environment, no rights, a read-only store, probes as the kubelet sends them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.unit.deploy.dockerfile import Dockerfile
from tests.unit.deploy.manifests import Workload

START_BUDGET_S = 60.0


@dataclass(frozen=True, slots=True)
class Pod:
    """A running service."""

    workload: Workload
    process: subprocess.Popen[bytes]
    ports: dict[str, int]  # by the container's port names
    log: Path

    def probe(self, kind: str) -> bool:
        """Send one probe as the manifest words it. Raises grpc.RpcError if the server does not know the name."""
        probe = self.workload.probes[kind]
        (port_name,) = (name for name, port in self.workload.ports.items() if port == probe["grpc"]["port"])
        with grpc.insecure_channel(f"127.0.0.1:{self.ports[port_name]}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=probe["grpc"]["service"])
            answer = stub.Check(request, timeout=probe["timeoutSeconds"], wait_for_ready=True)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def wait_for(self, kind: str) -> None:
        """Probe until the probe passes. Raises AssertionError with the log if the process ends or time runs out."""
        end_s = time.monotonic() + START_BUDGET_S
        while time.monotonic() < end_s and self.process.poll() is None:
            if self._passes(kind):
                return
            time.sleep(0.05)
        raise AssertionError(f"{kind} never passed:\n{self.log.read_text()}")

    def _passes(self, kind: str) -> bool:
        try:
            return self.probe(kind)
        except grpc.RpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                return False  # not listening yet
            raise

    def stop(self) -> int:
        """Send SIGTERM and return the exit status. Raises TimeoutExpired after the pod's grace period."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(self.workload.pod["terminationGracePeriodSeconds"])


@contextmanager
def running(
    workload: Workload, folder: Path, *, python: str = sys.executable, **settings: str
) -> Iterator[Pod]:
    """Start a service with its volumes below `folder`; `settings` override the pod's."""
    mounts = {mount["mountPath"]: mount for mount in workload.container["volumeMounts"]}
    for path, mount in mounts.items():
        place = folder / path.lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        if mount.get("readOnly", False):
            _make_read_only(place)
    environment = Dockerfile.read(workload.service).environment | workload.environment
    for name, value in environment.items():
        if value.startswith(tuple(mounts)):
            environment[name] = str(folder / value.lstrip("/"))
    ports = dict(zip(workload.ports, _free_ports(len(workload.ports)), strict=True))
    prefix = f"TAGSMITH_{workload.service.upper()}"
    environment |= {
        "PATH": os.environ["PATH"],
        f"{prefix}_PORT": str(ports["grpc"]),
        f"{prefix}_HEALTH_PORT": str(ports["health"]),
        f"{prefix}_METRICS_PORT": str(ports["metrics"]),
        **settings,
    }
    log = folder / f"{workload.service}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*_without_rights(), python, "-m", f"services.{workload.service}"],
            cwd=environment["TMPDIR"],
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Pod(workload, process, ports, log)
    finally:
        process.kill()
        process.wait()


def _without_rights() -> list[str]:
    """Return the command that takes from root what the pod's security context takes: without it, modes bind nobody."""
    return (
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"] if os.geteuid() == 0 else []
    )


def _make_read_only(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
