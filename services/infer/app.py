"""The order of start and stop, and the exit codes.

Exit codes: 0 stopped on request; 1 a part broke; 2 a setting cannot be used or a port is taken; 3 the required GPU is not there;
4 models do not give right answers any more.
"""

import asyncio
import os
import sys
from concurrent.futures import Executor
from typing import Final

import uvloop

from services.infer.assembly import Assembly, assembled, store_threads
from services.infer.hardware import probe_hardware
from services.infer.probing import AcceleratorBrokenError
from services.infer.servicer import InferenceServicer
from services.infer.settings import InferSettings
from shared.errors import FieldInvalidError, ModelNotLoadableError, PortTakenError, StoreUnavailableError
from shared.rpc.drain import drain, stop_signal
from shared.rpc.health import HealthServer
from shared.rpc.server import Server, add_reflection, bind
from shared.settings import SettingsInvalidError, read_settings
from shared.store.opening import open_store
from shared.store.port import ObjectStore
from shared.stubs.inference.v1 import inference_pb2
from shared.stubs.inference.v1.inference_pb2_grpc import add_InferenceServiceServicer_to_server
from shared.telemetry.logs import configure_logs, get_logger
from shared.telemetry.metrics import start_metrics_server

_log = get_logger()
_SWITCH_INTERVAL_S: Final = (
    0.0005  # a thread with much to do keeps the event loop waiting so long, not Python's 5 ms
)
_CONNECTION_AGE_S: Final = 60.0  # clients that balance over replicas meet new ones within this time
_SERVICE = inference_pb2.DESCRIPTOR.services_by_name["InferenceService"].full_name


def main() -> int:
    """Run until told to stop; return the exit code."""
    try:
        settings = read_settings(InferSettings)
        configure_logs("infer", settings.log_level)
        sys.setswitchinterval(_SWITCH_INTERVAL_S)
        # Calls are tokenized side by side already: sharing the texts of one out among further threads costs more than it gains.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve_until_told(settings))
    except (SettingsInvalidError, PortTakenError, FieldInvalidError, StoreUnavailableError) as error:
        print(f"tagsmith inference service: {error}", file=sys.stderr)  # noqa: T201  # for the operator, not the log
        return 2
    except ModelNotLoadableError as error:
        print(f"tagsmith inference service: {error}", file=sys.stderr)  # noqa: T201  # for the operator, not the log
        return 3
    except AcceleratorBrokenError as error:
        _log.critical("accelerator_broken", message=str(error))
        return 4
    except Exception as error:  # noqa: BLE001  # the last word of a broken service is an event, not a bare traceback
        _log.critical("service_broke", exc_info=error)
        return 1
    return 0


async def _serve_until_told(settings: InferSettings) -> None:
    await serve(settings, stop_signal())


async def serve(settings: InferSettings, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises PortTakenError, FieldInvalidError, ModelNotLoadableError."""
    hardware = await asyncio.to_thread(probe_hardware, settings)
    health = HealthServer(settings.host, settings.health_port)
    try:
        server = Server(max_connection_age_s=_CONNECTION_AGE_S)
        ports = {
            "port": bind(server, settings.host, settings.port),
            "health_port": health.port,
            "metrics_port": start_metrics_server(settings.host, settings.metrics_port),
        }
        await health.start()
        executions = [f"{each.precision} on {each.provider}" for each in hardware.executions]
        _log.info("listening", **ports, executions=executions, runners=hardware.runners)
        with store_threads(1, "open store") as opening:
            objects = await _open_store(settings, stop, opening)
        if objects is not None:
            async with assembled(settings, hardware, objects, health, ports) as parts:
                await _answer_calls(settings, parts, server, health, stop)
        _log.info("stopped")
    finally:
        await health.stop()


async def _answer_calls(
    settings: InferSettings,
    parts: Assembly,
    server: Server,
    health: HealthServer,
    stop: asyncio.Event,
) -> None:
    servicer = InferenceServicer(parts.answering, parts.residency, streams_limit=settings.streams_limit)
    add_InferenceServiceServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]  # generated
    add_reflection(server, _SERVICE)
    await server.start()
    try:
        await health.set_started()
        await _until(stop, parts.background)
        await drain(
            server,
            health,
            delay_s=settings.drain_delay_s,
            grace_s=settings.drain_grace_s,
            finish=parts.gate.close,
        )
    finally:
        await server.stop(None)  # at once, if it did not come to draining


async def _open_store(settings: InferSettings, stop: asyncio.Event, thread: Executor) -> ObjectStore | None:
    """Open the store, however long that takes; None if the service is to stop meanwhile. Raises FieldInvalidError."""
    opening = asyncio.create_task(_keep_opening(settings, thread), name="open the store")
    stopping = asyncio.create_task(stop.wait(), name="wait for a signal")
    await asyncio.wait((opening, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if opening.done():
        return opening.result()
    opening.cancel()
    return None


async def _keep_opening(settings: InferSettings, thread: Executor) -> ObjectStore:
    loop = asyncio.get_running_loop()
    while True:
        try:
            return await loop.run_in_executor(thread, open_store, settings.store)
        except StoreUnavailableError as error:
            _log.error("store_unavailable", message=error.message)
        await asyncio.sleep(settings.poll_interval_ms / 1000)


async def _until(stop: asyncio.Event, background: tuple[asyncio.Task[None], ...]) -> None:
    """Wait for the signal to stop. A background task that ends before broke: its error ends the service."""
    stopping = asyncio.create_task(stop.wait(), name="wait for a signal")
    done, _ = await asyncio.wait((stopping, *background), return_when=asyncio.FIRST_COMPLETED)
    if stopping not in done:
        stopping.cancel()
        for task in done:
            task.result()
