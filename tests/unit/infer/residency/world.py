"""Residency on a virtual clock: a real store in memory, a loader that takes a told time and fails when told."""

import asyncio
import math
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.infer.cost import Cell, CostGrid
from services.infer.residency.follower import Follower
from services.infer.residency.lanes import Lane
from services.infer.residency.loading import Ready
from services.infer.residency.lookups import Lookups
from services.infer.residency.residency import Residency
from shared.errors import (
    ModelLoadingError,
    StoreUnavailableError,
)
from shared.names import VersionName, parse_reference
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.store.manifest import Manifest
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import publish_tiny

LOAD_S = 10.0


class VirtualThreads(Executor):
    """A thread that takes `seconds` of the loop's clock for a job (for the job `slow` alone, if one is named), or none."""

    def __init__(
        self,
        seconds: float = 0.0,
        on_submit: Callable[[object], None] = lambda _: None,
        slow: Callable[..., Any] | None = None,
    ) -> None:
        self.seconds = seconds
        self.on_submit = on_submit
        self.slow = slow
        self.submitted = 0
        self._busy_until_s = 0.0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        job: Future[Any] = Future()
        self.on_submit(fn)
        self.submitted += 1
        job.set_running_or_notify_cancel()  # begun, as in a free thread: cancelling comes too late

        def work() -> None:
            try:
                result = fn(*args, **kwargs)
            except Exception as error:  # noqa: BLE001  # a thread hands on whatever the job raised
                job.set_exception(error)
            else:
                job.set_result(result)

        loop = asyncio.get_running_loop()
        begins_s = max(loop.time(), self._busy_until_s)
        self._busy_until_s = begins_s + (self.seconds if self.slow in (None, fn) else 0.0)
        if self._busy_until_s > loop.time():
            loop.call_at(self._busy_until_s, work)
        else:
            work()
        return job


class Sorting(Executor):
    """Gives the questions about one model to threads of their own."""

    def __init__(self, usual: Executor, special: Executor, model: str) -> None:
        self._usual, self._special, self._model = usual, special, model

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        threads = self._special if self._model in args else self._usual
        return threads.submit(fn, *args, **kwargs)


class FakeLoader:
    """Gives models that can only be told apart and closed."""

    def __init__(self) -> None:
        self.faults: dict[VersionName, Exception] = {}
        self.loads: list[VersionName] = []
        self.sizes_bytes: dict[VersionName, int] = {}
        self.closed: list[VersionName] = []
        self.kept: list[list[VersionName]] = []

    def tidy(self, in_memory: Collection[Manifest]) -> None:
        self.kept.append([manifest.version for manifest in in_memory])

    def footprint(self, version: VersionName) -> dict[str, int]:
        return {str(version): self.sizes_bytes.get(version, 1)}

    def load(self, version: VersionName) -> Ready:
        self.loads.append(version)
        if version in self.faults:
            raise self.faults[version]
        model = SimpleNamespace(
            manifest=SimpleNamespace(version=version),
            execution=Execution(),
            close=lambda: self.closed.append(version),
        )
        return Ready(cast("Model", model), Lane(CostGrid([Cell(1, 8, 1.0)])))


class Flaky(MemoryStore):
    """A store that can be away."""

    away = False

    def read(self, key: str) -> bytes:
        if self.away:
            raise StoreUnavailableError("away", operation="read")
        return super().read(key)


class World:
    """A store with models, and a residency over it that polls every 2 s."""

    def __init__(
        self, scratch: Path, *required: str, on_demand_limit: int = 8, memory_budget_bytes: float = math.inf
    ) -> None:
        self.scratch = scratch
        self.objects = Flaky()
        self.models = ModelStore(self.objects)
        self.loader = FakeLoader()
        self.changes = 0
        self.asked: list[object] = []
        asking = self.asking = VirtualThreads(on_submit=self.asked.append)
        self.residency = Residency(
            self.loader,
            Lookups(self.models, asking),
            VirtualThreads(LOAD_S, slow=self.loader.load),
            required=[parse_reference(reference) for reference in required],
            idle_unload_s=900,
            on_demand_limit=on_demand_limit,
            memory_budget_bytes=memory_budget_bytes,
            on_change=self._note_change,
        )
        self.follower = Follower(self.residency, self.models, asking, interval_s=2, jitter=lambda: 1.0)

    def _note_change(self) -> None:
        self.changes += 1

    def publish(
        self, model: str = "banking", *, alias: str | None = None, state: Any = "published"
    ) -> VersionName:
        version = publish_tiny(self.models, model, "classification", scratch=self.scratch, state=state)
        if alias:
            self.point(version, alias)
        return version

    def point(self, version: VersionName, alias: str = "production") -> None:
        self.models.set_alias(
            version.model, alias, version.number, expected=None, actor="test", reason="test"
        )

    async def answering(self, reference: str) -> VersionName:
        async with self.residency.serving(parse_reference(reference)) as loaded:
            return loaded.version

    async def loaded(self, reference: str) -> VersionName:
        with pytest.raises(ModelLoadingError):
            await self.answering(reference)
        await asyncio.sleep(LOAD_S + 0.1)
        return await self.answering(reference)

    def states(self) -> dict[str, str]:
        return {str(each.version): each.state.name for each in self.residency.residents}

    async def __aenter__(self) -> "World":
        self.task = asyncio.create_task(self.follower.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert not self.task.done()
        self.task.cancel()
        await self.residency.close()
