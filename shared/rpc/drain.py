"""The order in which a server stops: not ready, still serving, then finishing, then gone."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress

from shared.rpc.health import HealthServer
from shared.rpc.server import Server
from shared.telemetry.logs import get_logger

_log = get_logger()


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM or SIGINT sets. Called before anything slow, so that no signal is missed."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    return event


async def drain(
    server: Server,
    health: HealthServer,
    *,
    delay_s: float,
    grace_s: float,
    finish: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Turn not ready; serve on for `delay_s` while clients and balancers notice; refuse new calls and give those in flight
    `grace_s` to end. The health port answers to the last.

    `finish`, if given, refuses new calls in the service's own words and returns when the last one has ended.
    """
    _log.info("draining", delay_s=delay_s, grace_s=grace_s)
    await health.drain()
    await asyncio.sleep(delay_s)
    loop = asyncio.get_running_loop()
    until_s = loop.time() + grace_s
    if finish is not None:
        with suppress(TimeoutError):  # what has not ended by then, stop() ends
            await asyncio.wait_for(finish(), grace_s)
    await server.stop(max(0.0, until_s - loop.time()))
