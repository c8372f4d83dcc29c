"""`tagsmith up`: both services over one folder, for as long as the command runs.

The folder holds all there is: `store/` (models and datasets, unless they are elsewhere), `state/` (the jobs), `cache/` (verified copies) and `logs/`. One
thread; the only waits are short sleeps between looks at the children. A signal that comes while a child is being started or
stopped is acted on after, so that no child is ever forgotten.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.cli.failures import CommandError, local_error
from services.cli.options import session_of
from services.cli.processes import Ports, ServiceProcess
from services.cli.signals import Signals, StopRequested
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
        _check(self.train)
        _check(self.infer)


def up(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Option(file_okay=False, help="Holds everything; made if it is not there.")
    ] = Path("tagsmith-data"),
    store: Annotated[
        str | None,
        typer.Option(help="The model store, such as s3://bucket/prefix; default: within the folder."),
    ] = None,
    train_port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 50061,
    infer_port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 50051,
) -> None:
    """Run both services over one folder until Ctrl-C.

    If this command is killed (SIGKILL), Linux stops the services; on other systems they go on running.
    """
    session = session_of(context)
    try:
        with running_services(folder, store=store, train_port=train_port, infer_port=infer_port) as services:
            for line in _greeting(services, folder):
                session.stdout.print(line, soft_wrap=True)
            session.stdout.file.flush()
            while True:
                services.check()
                time.sleep(_POLL_S)
    except StopRequested:
        session.tell("stopped")


@contextmanager
def running_services(
    folder: Path, *, store: str | None = None, train_port: int, infer_port: int
) -> Iterator[Services]:
    """Start both services over `folder` and wait until they are ready; stop them, and all they started, at the end.

    `store`: where models and datasets are, if not in the folder. Ports: 0 takes any free one. Raises CommandError with its last words if one does not come up, StopRequested on a signal.
    """
    folder = folder.resolve()
    logs = folder / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
        for log in (logs / "train.log", logs / "infer.log"):
            log.open("ab").close()
    except OSError as error:
        raise local_error(
            "FOLDER_UNUSABLE", f"{folder} cannot be used: {error.strerror}", folder=str(folder)
        ) from None
    store = store or str(folder / "store")
    with Signals() as signals, ExitStack() as stack:
        train = ServiceProcess(
            "training service",
            "services.train",
            {
                "TAGSMITH_STORE": store,
                "TAGSMITH_TRAIN_STATE_DIR": str(folder / "state"),
                "TAGSMITH_TRAIN_PORT": str(train_port),
                "TAGSMITH_TRAIN_HEALTH_PORT": "0",
                "TAGSMITH_TRAIN_METRICS_PORT": "0",
            },
            logs / "train.log",
        )
        stack.callback(train.stop)
        infer = ServiceProcess(
            "inference service",
            "services.infer",
            {
                "TAGSMITH_STORE": store,
                "TAGSMITH_INFER_CACHE_DIR": str(folder / "cache"),
                "TAGSMITH_INFER_PORT": str(infer_port),
                "TAGSMITH_INFER_HEALTH_PORT": "0",
                "TAGSMITH_INFER_METRICS_PORT": "0",
                "TAGSMITH_INFER_ALLOW_EMPTY": "true",  # models come later and load at their first call
                "TAGSMITH_INFER_DRAIN_DELAY_S": "0",  # no balancer has to notice
                "TAGSMITH_INFER_DRAIN_GRACE_S": "5",
            },
            logs / "infer.log",
        )
        stack.callback(infer.stop)
        stack.callback(train.ask_to_stop)  # runs before both `stop`s, so that they end at the same time
        stack.callback(infer.ask_to_stop)
        ready_by = time.monotonic() + _START_TIMEOUT_S
        train_ports = _wait_ready(train, (train, infer), ready_by, signals)
        infer_ports = _wait_ready(infer, (train, infer), ready_by, signals)
        with signals.raising():
            yield Services(train, infer, train_ports, infer_ports)


def _wait_ready(
    service: ServiceProcess, both: tuple[ServiceProcess, ServiceProcess], ready_by: float, signals: Signals
) -> Ports:
    while (ports := service.ports()) is None or not _is_ready(ports.health):
        signals.check()
        for each in both:
            _check(each)
        if time.monotonic() > ready_by:
            raise _failure(service, f"was not ready within {_START_TIMEOUT_S:.0f} s")
        time.sleep(_POLL_S)
    return ports


def _is_ready(health_port: int) -> bool:
    address = f"127.0.0.1:{health_port}"
    with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        request = health_pb2.HealthCheckRequest(service="readiness")
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_HEALTH_TIMEOUT_S)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def _check(service: ServiceProcess) -> None:
    if service.exit_code is not None:
        if service.exit_code < 0:  # what it said last has nothing to do with it
            raise _ended(service, f"was ended by {signal.Signals(-service.exit_code).name}")
        raise _failure(service, f"has ended with code {service.exit_code}")


def _failure(service: ServiceProcess, what: str) -> CommandError:
    return _ended(service, f"{what}: {service.last_words()}")


def _ended(service: ServiceProcess, how: str) -> CommandError:
    message = f"the {service.name} {how} [{service.log_path}]"
    return CommandError(
        Explained("FAILED_PRECONDITION", "SERVICE_ENDED", message, {"service": service.name}, (), None)
    )


def _greeting(services: Services, folder: Path) -> Iterator[str]:
    yield f"training service   {services.train_address}"
    yield f"inference service  {services.infer_address}"
    yield f"everything is in   {folder}"
    yield ""
    yield "Next, in another terminal:"
    yield (
        f"  export TAGSMITH_TRAIN_ADDRESS={services.train_address}"
        f" TAGSMITH_INFER_ADDRESS={services.infer_address}"
    )
    yield "  tagsmith data import support --task classification FILE.jsonl"
    yield "  tagsmith train support support --promote production"
    yield "  tagsmith classify support 'where is my parcel?'"
    yield "Ctrl-C stops both."
