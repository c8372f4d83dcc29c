"""Asks the versions in memory what they must know: their golden examples, after a run has failed and now and then when idle.

A text may be at fault for a failed run, or the accelerator. The probe tells which: when a version cannot run its golden examples
any more, or answers them otherwise, this server is not ready, and after PROBES_TO_GIVE_UP failures in a row it ends, so that
whoever watches it starts it anew elsewhere. Readiness reads the last result; it never waits for a probe, nor for the queue.

A run, or a probe, that does not return at all is a broken accelerator too: HANGING_S after its begin, and a look, the server ends.

Concurrency: two tasks on the event loop; a probe blocks a thread of its own.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from services.infer.batching.dispatcher import Dispatcher
from services.infer.residency.residency import Residency
from services.infer.residency.resident import Loaded
from shared.names import VersionName
from shared.telemetry import metrics
from shared.telemetry.logs import get_logger

PROBES_TO_GIVE_UP: Final = 3
HANGING_S: Final = 120.0  # no batch takes so long on a machine that is fit to serve
_LOOK_S: Final = 5.0  # between looks for runs that hang
_BETWEEN_PROBES_S: Final = 0.5  # so that texts that fail by themselves cannot keep it busy

_log = get_logger()


class AcceleratorBrokenError(Exception):
    """What models run on gives no right answers any more."""


class Prober:
    """Probes. Event loop only."""

    def __init__(
        self,
        residency: Residency,
        dispatcher: Dispatcher,
        thread: Executor,
        *,
        idle_interval_s: float,
        on_change: Callable[[], None],
    ) -> None:
        """Probe one version every `idle_interval_s` in which nothing runs; `on_change` is called when `healthy` changes."""
        self.healthy = True
        self._residency = residency
        self._dispatcher = dispatcher
        self._thread = thread
        self._idle_interval_s = idle_interval_s
        self._on_change = on_change
        self._suspects: dict[VersionName, None] = {}
        self._suspicion = asyncio.Event()
        self._last_idle: VersionName | None = None

    def suspect(self, version: VersionName) -> None:
        """Probe a version soon: a run of it has failed."""
        self._suspects[version] = None
        self._suspicion.set()

    async def run(self) -> None:
        """Probe until cancelled. Raises AcceleratorBrokenError when PROBES_TO_GIVE_UP in a row have failed."""
        while True:
            loaded = await self._next()
            if loaded is not None:
                loaded.pin()  # to the end of its probes: one that was unloaded between them would seem broken
                try:
                    await self._probe(loaded)
                finally:
                    loaded.unpin()
                await asyncio.sleep(_BETWEEN_PROBES_S)

    async def watch(self) -> None:
        """Look at what runs until cancelled. Raises AcceleratorBrokenError when a run hangs."""
        while self._dispatcher.longest_run_s <= HANGING_S:  # noqa: ASYNC110  # nothing happens when a run hangs
            await asyncio.sleep(_LOOK_S)
        raise AcceleratorBrokenError(f"a run has not returned for {HANGING_S:.0f} s")

    async def _next(self) -> Loaded | None:
        try:
            async with asyncio.timeout(self._idle_interval_s):
                await self._suspicion.wait()
        except TimeoutError:
            return self._next_idle() if self._dispatcher.is_idle else None
        version = next(iter(self._suspects))
        del self._suspects[version]
        if not self._suspects:
            self._suspicion.clear()
        return self._in_memory().get(version)

    def _next_idle(self) -> Loaded | None:
        """Return the versions in memory in turn."""
        found = self._in_memory()
        later = [version for version in found if self._last_idle is None or version > self._last_idle]
        self._last_idle = next(iter(later or found), None)
        return None if self._last_idle is None else found[self._last_idle]

    def _in_memory(self) -> dict[VersionName, Loaded]:
        return {each.version: each.loaded for each in self._residency.residents if each.loaded is not None}

    async def _probe(self, loaded: Loaded) -> None:
        for failures in range(1, PROBES_TO_GIVE_UP + 1):
            try:
                async with asyncio.timeout(HANGING_S):
                    await loaded.in_thread(self._thread, loaded.model.probe)
            except TimeoutError as error:
                raise AcceleratorBrokenError(
                    f"a probe of {loaded.version} has not returned for {HANGING_S:.0f} s"
                ) from error
            except Exception as error:  # whatever a run raises is what is looked for
                metrics.FAILED_PROBES.labels(loaded.version.model).inc()
                _log.error("probe_failed", model_version=str(loaded.version), exc_info=error)
                self._note(loaded, healthy=False)
                if failures == PROBES_TO_GIVE_UP:
                    raise AcceleratorBrokenError(
                        f"{loaded.version} failed {PROBES_TO_GIVE_UP} probes in a row"
                    ) from error
                await asyncio.sleep(_BETWEEN_PROBES_S)
            else:
                self._note(loaded, healthy=True)
                return

    def _note(self, loaded: Loaded, *, healthy: bool) -> None:
        loaded.is_failing_probes = not healthy
        if healthy != self.healthy:
            self.healthy = healthy
            self._on_change()
