"""Follows the store: every interval, with jitter, where the aliases of the followed models point.

Invariant: what cannot be read, be it the store, a model or one alias, changes nothing for what answers nor for what can be; it
is told once when it begins and once when it ends.
Concurrency: a task for each question, which blocks a thread and not the event loop. A question may take as long as it likes: no
look waits longer than `PATIENCE_S`, and a model is not asked about again while a question is out.
"""

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Final

from services.infer.residency.residency import Residency
from shared.errors import StoreUnavailableError, TagsmithError
from shared.names import VersionName
from shared.store.models import ModelStore
from shared.telemetry.logs import get_logger

PATIENCE_S: Final = 5.0

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
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            while True:
                await self.poll()
                await asyncio.sleep(self._interval_s * self._jitter())
        finally:
            for question in self._asking.values():
                question.cancel()

    async def poll(self) -> None:
        """Look at every followed model once; those whose last question is still out are left to it."""
        new = {
            model: asyncio.create_task(self._look_at(model), name=f"look at {model}")
            for model in sorted(self._residency.models - self._asking.keys())
        }
        self._asking |= new
        if new:
            answered, _ = await asyncio.wait(new.values(), timeout=PATIENCE_S)
            for question in answered:
                question.result()
        for model in self._asking:
            late = StoreUnavailableError(f"no answer within {PATIENCE_S:g} s", operation="read aliases")
            self._note_trouble(model, late)
        self._residency.tick()

    async def _look_at(self, model: str) -> None:
        try:
            aliases = await asyncio.wrap_future(self._threads.submit(self._models.aliases, model))
        except Exception as error:  # noqa: BLE001  # one model's trouble must not end the following of the others
            self._note_trouble(model, error)
        else:
            if aliases.damage:
                self._note_trouble(model, aliases.damage)
            else:
                self._note_end_of_trouble(model)
            targets = {record.alias: VersionName(model, record.version) for record in aliases.records}
            self._residency.point_aliases(model, targets)
        finally:
            del self._asking[model]

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
