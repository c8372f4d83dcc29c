"""`tagsmith up`: both services over one folder, for as long as the command runs.

The folder holds all there is: `store/` (models and datasets), `state/` (the jobs), `cache/` (verified copies) and `logs/`. One
thread; the only waits are short sleeps between looks at the children, so a signal is acted on at once.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Annotated

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli.failures import CommandError
from services.cli.options import session_of
from services.cli.processes import Ports, ServiceProcess
from shared.rpc.status import Explained

_START_TIMEOUT_S = 60.0
_POLL_S = 0.1
_HEALTH_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Services:
    """Both services, ready."""

    train: ServiceProcess
    infer: ServiceProcess
    train_ports: Ports
    infer_ports: Ports

    @property
    def train_address(self) -> str:
        """Where to train."""
        return f"127.0.0.1:{self.train_ports.service}"

    @property
    def infer_address(self) -> str:
        """Where to ask."""
        return f"127.0.0.1:{self.infer_ports.service}"

    def check(self) -> None:
        """Raise CommandError if one has ended."""
        for each in (self.train, self.infer):
            _check(each)


def up(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option(file_okay=False, help="Holds everything; made if it is not there.")
    ] = Path("tagsmith-data"),
    train_port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 50061,
    infer_port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 50051,
) -> None:
    """Run both services over one folder until Ctrl-C."""
    session = session_of(context)
    with (
        stop_on_signals(),
        running_services(folder, train_port=train_port, infer_port=infer_port) as services,
    ):
        for line in (
            f"training service   {services.train_address}",
            f"inference service  {services.infer_address}",
            f"everything is in   {folder}",
            "",
            "Next, in another terminal:",
            f"  export TAGSMITH_TRAIN_ADDRESS={services.train_address} TAGSMITH_INFER_ADDRESS={services.infer_address}",
            "  tagsmith data import support --task classification FILE.jsonl",
            "  tagsmith train support support --promote production",
            "  tagsmith classify support 'where is my parcel?'",
            "Ctrl-C stops both.",
        ):
            session.stdout.print(line, soft_wrap=True)
        session.stdout.file.flush()
        while True:
            services.check()
            time.sleep(_POLL_S)


@contextmanager
def running_services(folder: Path, *, train_port: int, infer_port: int) -> Iterator[Services]:
    """Start both services over `folder` and wait until they are ready; stop them, and all they started, at the end.

    Ports: 0 takes any free one. Raises CommandError, with its last words, if one does not come up.
    """
    folder = folder.resolve()
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    any_port = "0"
    train_environment = {
        "TAGSMITH_STORE": str(folder / "store"),
        "TAGSMITH_TRAIN_STATE_DIR": str(folder / "state"),
        "TAGSMITH_TRAIN_PORT": str(train_port),
        "TAGSMITH_TRAIN_HEALTH_PORT": any_port,
        "TAGSMITH_TRAIN_METRICS_PORT": any_port,
    }
    infer_environment = {
        "TAGSMITH_STORE": str(folder / "store"),
        "TAGSMITH_INFER_CACHE_DIR": str(folder / "cache"),
        "TAGSMITH_INFER_PORT": str(infer_port),
        "TAGSMITH_INFER_HEALTH_PORT": any_port,
        "TAGSMITH_INFER_METRICS_PORT": any_port,
        "TAGSMITH_INFER_ALLOW_EMPTY": "true",  # models come later, at their first call
        "TAGSMITH_INFER_DRAIN_DELAY_S": "0",  # nothing balances calls to it
        "TAGSMITH_INFER_DRAIN_GRACE_S": "5",
    }
    with ExitStack() as stack:
        started = [
            ServiceProcess(name, module, environment, logs / f"{module.rpartition('.')[2]}.log")
            for name, module, environment in (
                ("training service", "services.train", train_environment),
                ("inference service", "services.infer", infer_environment),
            )
        ]
        for each in started:
            stack.callback(each.stop)
        for each in started:  # all at once: the second need not wait for the first one's end
            stack.callback(each.ask_to_stop)
        give_up = time.monotonic() + _START_TIMEOUT_S
        train, infer = started
        train_ports, infer_ports = (_wait_ready(each, started, give_up) for each in started)
        yield Services(train, infer, train_ports, infer_ports)


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into an exit with code 0 of the block's command; later ones are ignored while it cleans up."""

    def leave(number: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise typer.Exit(0)

    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, leave) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait_ready(service: ServiceProcess, started: list[ServiceProcess], give_up: float) -> Ports:
    while (ports := service.ports()) is None or not _is_ready(ports.health):
        for each in started:
            _check(each)
        if time.monotonic() > give_up:
            raise _failure(service, f"was not ready within {_START_TIMEOUT_S:.0f} s")
        time.sleep(_POLL_S)
    return ports


def _is_ready(health_port: int) -> bool:
    with grpc.insecure_channel(
        f"127.0.0.1:{health_port}", options=[("grpc.enable_http_proxy", 0)]
    ) as channel:
        request = health_pb2.HealthCheckRequest(service="readiness")
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_HEALTH_TIMEOUT_S)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _check(service: ServiceProcess) -> None:
    if service.exit_code is not None:
        raise _failure(service, f"has ended with code {service.exit_code}")


def _failure(service: ServiceProcess, what: str) -> CommandError:
    message = f"the {service.name} {what}; its log {service.log_path} ends with: {service.last_words() or 'nothing'}"
    return CommandError(
        Explained("UNAVAILABLE", "SERVICE_ENDED", message, {"service": service.name}, (), None)
    )
