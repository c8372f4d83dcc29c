"""A version in memory, and what callers hold of it. Event loop only.

Invariant: a model is closed after its last pin is gone and never before; batches and thread work pin it too, so closing never
meets a run in progress, even one whose caller has left.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

from services.infer.residency.footprint import Footprint
from services.infer.residency.lanes import Lane
from services.infer.residency.lifecycle import Event, State, next_state, retry_delay_s
from shared.errors import ModelNotLoadableError, TagsmithError
from shared.names import VersionName
from shared.runtime.model import Model
from shared.telemetry import metrics
from shared.telemetry.logs import get_logger

_log = get_logger()

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Loaded:
    """A version that can answer: a reader of what its lane computes."""

    model: Model
    lane: Lane
    footprint: Footprint
    on_unpinned: Callable[[], None]
    pins: int = 0
    is_failing_probes: bool = False  # the last one failed
    load_time: datetime = field(default_factory=lambda: datetime.now(UTC))
    version: VersionName = field(init=False)

    def __post_init__(self) -> None:
        self.version = self.model.manifest.version

    def pin(self) -> None:
        """Keep it in memory."""
        self.pins += 1

    def unpin(self) -> None:
        """Undo one `pin`."""
        self.pins -= 1
        if not self.pins:
            self.on_unpinned()

    def announce(self, took_s: float) -> None:
        """Tell metrics and log that it answers, `took_s` after its loading began."""
        version, model = self.version, self.model
        metrics.LOAD_SECONDS.observe(took_s)
        metrics.LOADED_MODELS.labels(
            version.model, version.number, model.execution.precision, model.execution.provider
        ).set(1)
        _log.info(
            "model_active",
            model_version=str(version),
            variant=model.execution.precision,
            execution_provider=model.execution.provider,
            seconds=round(took_s, 3),
        )

    async def in_thread(
        self, threads: Executor, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do blocking work on the model in a thread, pinned until the thread has ended even if the caller leaves before."""
        loop = asyncio.get_running_loop()
        self.pin()
        job = threads.submit(work, *args, **kwargs)
        job.add_done_callback(lambda _: loop.call_soon_threadsafe(self.unpin))
        return await asyncio.wrap_future(job)


@dataclass(slots=True, eq=False)
class Resident:
    """A version that has been asked for, whatever has become of it."""

    version: VersionName
    state: State = State.QUEUED
    loaded: Loaded | None = None  # when ACTIVE or DRAINING
    error: TagsmithError | None = None  # when FAILED
    failures: int = 0  # in a row
    retry_at_s: float = 0.0

    def step(self, event: Event) -> None:
        """Enter the next state of the table."""
        self.state = next_state(self.state, event)

    def fail(self, error: Exception, now_s: float) -> None:
        """Note that it could not be loaded, and when to try again; what nobody foresaw is told by an incident's id."""
        version = self.version
        if not isinstance(error, TagsmithError):
            incident = secrets.token_hex(4)
            _log.error("model_load_broke", model_version=str(version), incident=incident, exc_info=error)
            error = ModelNotLoadableError(
                f"{version} could not be loaded, incident {incident}.",
                model_version=str(version),
                cause=f"incident {incident}",
            )
        self.error = error
        self.failures += 1
        delay_s = retry_delay_s(self.failures)
        self.retry_at_s = now_s + delay_s
        self.step(Event.LOAD_FAILED)
        metrics.LOAD_FAILURES.labels(version.model, error.reason).inc()
        _log.error(
            "model_failed",
            model_version=str(version),
            reason=error.reason,
            message=error.message,
            retry_in_s=delay_s,
        )

    @property
    def pins(self) -> int:
        """How many hold it."""
        return self.loaded.pins if self.loaded else 0
