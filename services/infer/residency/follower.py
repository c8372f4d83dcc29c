"""Follows the store: every interval, with jitter, where the aliases of the followed models point.

Invariant: a store that cannot be read, or a model that cannot, changes nothing for what answers; it is told once when it begins
and once when it ends.
Concurrency: one task; its questions block a thread, not the event loop.
"""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Executor

from services.infer.residency.residency import Residency
from shared.errors import TagsmithError
from shared.names import VersionName
from shared.store.models import ModelStore
from shared.telemetry.logs import get_logger

_log = get_logger()


class Follower:
    """Keeps residency up to date."""

    def __init__(
        self,
        residency: Residency,
        models: ModelStore,
        threads: Executor,
        *,
        interval_s: float,
        jitter: Callable[[], float] = lambda: random.uniform(0.8, 1.2),  # noqa: S311  # spreads replicas, guards nothing
    ) -> None:
        """Ask `models` in `threads`, every `interval_s` times what `jitter` gives."""
        self._residency = residency
        self._models = models
        self._threads = threads
        self._interval_s = interval_s
        self._jitter = jitter
        self._unreadable: set[str] = set()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await self.poll()
            await asyncio.sleep(self._interval_s * self._jitter())

    async def poll(self) -> None:
        """Look at every followed model once."""
        for model in sorted(self._residency.models):
            try:
                targets = await asyncio.get_running_loop().run_in_executor(
                    self._threads, self._targets, model
                )
            except Exception as error:  # noqa: BLE001  # one model's trouble must not end the following of the others
                self._note_trouble(model, error)
            else:
                self._note_end_of_trouble(model)
                self._residency.point_aliases(model, targets)
        self._residency.tick()

    def _targets(self, model: str) -> dict[str, VersionName]:
        return {record.alias: VersionName(model, record.version) for record in self._models.aliases(model)}

    def _note_trouble(self, model: str, error: Exception) -> None:
        if model not in self._unreadable:
            self._unreadable.add(model)
            if isinstance(error, TagsmithError):
                _log.warning("aliases_unreadable", model=model, reason=error.reason, message=error.message)
            else:
                _log.error("aliases_unreadable", model=model, exc_info=error)

    def _note_end_of_trouble(self, model: str) -> None:
        if model in self._unreadable:
            self._unreadable.remove(model)
            _log.info("aliases_readable_again", model=model)
