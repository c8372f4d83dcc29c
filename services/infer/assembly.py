"""Makes the parts of the service and joins them; unmakes them in reverse, models last."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from services.infer.answering import Answering
from services.infer.batching.dispatcher import Dispatcher
from services.infer.batching.policy import Limits
from services.infer.calls import TextLimits
from services.infer.gate import Gate
from services.infer.hardware import Hardware
from services.infer.probing import Prober
from services.infer.reading import Reading
from services.infer.residency.follower import Follower
from services.infer.residency.lanes import Lanes
from services.infer.residency.loading import StoreLoader
from services.infer.residency.lookups import Lookups
from services.infer.residency.measuring import Measuring
from services.infer.residency.residency import Residency
from services.infer.settings import InferSettings
from shared.cores import usable_memory_bytes
from shared.rpc.health import HealthServer
from shared.runtime.parts import Parts
from shared.store.cache import FileCache
from shared.store.models import ModelStore
from shared.store.port import ObjectStore
from shared.telemetry.logs import get_logger

_log = get_logger()
_STORE_THREADS: Final = (
    4  # for calls' questions and for the follower's each; a hanging store takes these and no others
)
_NICEST: Final = 19
_LONGEST_RUN_S: Final = 5.0  # that the end is put off for


@dataclass(frozen=True, slots=True)
class Assembly:
    """The parts that the service is run by."""

    answering: Answering
    residency: Residency
    gate: Gate
    background: tuple[asyncio.Task[None], ...]


@asynccontextmanager
async def assembled(
    settings: InferSettings,
    hardware: Hardware,
    objects: ObjectStore,
    health: HealthServer,
    ports: dict[str, int],
) -> AsyncIterator[Assembly]:
    """Make the parts; unmake them in reverse, models last."""
    async with AsyncExitStack() as stack:
        runners = stack.enter_context(_model_threads(hardware.runners, "runner", begin=_as_runner))
        texts = stack.enter_context(_model_threads(hardware.cores, "texts"))
        has_threads = not all(each.is_on_callers_thread for each in hardware.executions)
        as_loader = _as_runner if has_threads else _as_loader
        loading = stack.enter_context(store_threads(1, "loading", begin=as_loader))
        probing = stack.enter_context(_model_threads(1, "probing", begin=_as_loader))
        asking = stack.enter_context(store_threads(_STORE_THREADS, "asking"))
        following = stack.enter_context(store_threads(_STORE_THREADS, "following"))
        models = ModelStore(objects)
        cache = FileCache(objects, settings.cache_dir)
        parts = Parts(cache.fetch, text_threads=hardware.cores)
        measuring = Measuring(settings.cache_dir / "costs", hardware.runners, hardware.batch_tokens)
        changed = asyncio.Event()
        residency = Residency(
            StoreLoader(
                models,
                cache,
                parts,
                Lanes(measuring.costs),
                measuring,
                hardware.executions,
                hardware.by_speed,
                hardware.batch_tokens,
            ),
            Lookups(models, asking),
            loading,
            required=settings.required,
            idle_unload_s=settings.idle_unload_s,
            on_demand_limit=settings.on_demand_limit,
            memory_budget_bytes=settings.memory_budget_bytes or 0.75 * usable_memory_bytes(),
            on_change=changed.set,
        )
        stack.push_async_callback(residency.close)
        dispatcher = Dispatcher(
            runners,
            hardware.runners,
            Limits(hardware.batch_tokens, settings.batch_padding_ratio),
            settings.queue_limit_tokens,
            hardware.batches_ahead,
            clock=time.monotonic,  # uvloop's own counts whole milliseconds
        )
        gate = Gate()
        limits = TextLimits(settings.texts_limit, settings.code_points_limit)
        prober = Prober(
            residency,
            dispatcher,
            probing,
            idle_interval_s=settings.probe_interval_s,
            on_change=changed.set,
        )
        dispatcher.on_fault = lambda reader: prober.suspect(reader.version)
        follower = Follower(residency, models, following, interval_s=settings.poll_interval_ms / 1000)
        background = (
            asyncio.create_task(follower.run(), name="follow the store"),
            asyncio.create_task(prober.run(), name="probe"),
            asyncio.create_task(prober.watch(), name="watch runs"),
            asyncio.create_task(
                _report_readiness(settings, residency, prober, changed, health, ports),
                name="report readiness",
            ),
        )
        stack.push_async_callback(_end, background)
        yield Assembly(
            Answering(residency, Reading(dispatcher, texts), limits, gate), residency, gate, background
        )


def _as_runner() -> None:
    """Let the event loop have a core before this thread: under overload it must refuse calls faster than they come."""
    _be_nice(10)


def _as_loader() -> None:
    """Let the runners have a core before this thread: what answers goes before what will. Not for sessions with threads of their own:
    these are as nice as the thread that makes them.
    """
    _be_nice(15)


def _be_nice(more: int) -> None:
    """Step back behind the thread that has made this one, which may have stepped back already: to step forward is not allowed."""
    if sys.platform == "linux":  # where priorities are of threads
        niceness = os.getpriority(os.PRIO_PROCESS, 0) + more
        os.setpriority(os.PRIO_PROCESS, 0, min(niceness, _NICEST))


@contextmanager
def store_threads(count: int, name: str, *, begin: Callable[[], None] | None = None) -> Iterator[Executor]:
    """Threads that a hanging store may hold for good: nobody waits for them at the end."""
    threads = ThreadPoolExecutor(count, name, initializer=begin)
    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _model_threads(count: int, name: str, *, begin: Callable[[], None] | None = None) -> Iterator[Executor]:
    """Threads whose work is waited for at the end, within reason: a run on a broken accelerator may never return."""
    threads = ThreadPoolExecutor(count, name, initializer=begin)
    try:
        yield threads
    finally:
        ending = threading.Thread(target=threads.shutdown, daemon=True)
        ending.start()
        ending.join(_LONGEST_RUN_S)


async def _report_readiness(
    settings: InferSettings,
    residency: Residency,
    prober: Prober,
    changed: asyncio.Event,
    health: HealthServer,
    ports: dict[str, int],
) -> None:
    """Tell the health server whenever what answers changes whether this server is ready."""
    may_be_ready = bool(settings.required) or settings.allow_empty
    if not may_be_ready:
        _log.warning("never_ready", remedy="set TAGSMITH_INFER_REQUIRED_MODELS or TAGSMITH_INFER_ALLOW_EMPTY")
    was_ready = False
    changed.set()
    while True:
        await changed.wait()
        changed.clear()
        ready = may_be_ready and residency.required_answer and prober.healthy
        if ready != was_ready:
            await health.set_ready(ready=ready)
            _log.info("ready" if ready else "not_ready", **ports)
            was_ready = ready


async def _end(tasks: tuple[asyncio.Task[None], ...]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
