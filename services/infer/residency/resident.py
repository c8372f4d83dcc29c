"""A version in memory, and what callers hold of it. Event loop only, except `Loaded.run`, which runner threads call.

Invariant: a model is closed after its last pin is gone and never before; batches and thread work pin it too, so closing never
meets a run in progress, even one whose caller has left.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ParamSpec, TypeVar

from services.infer.residency.lifecycle import Event, State, next_state
from shared.errors import TagsmithError
from shared.names import VersionName
from shared.runtime.classification import Logits
from shared.runtime.model import Model
from shared.runtime.windows import Window

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Loaded:
    """A version that can answer: a lane of the dispatcher."""

    model: Model
    on_unpinned: Callable[[], None]
    pins: int = 0
    load_time: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def version(self) -> VersionName:
        """Its name."""
        return self.model.manifest.version

    def run(self, windows: Sequence[Window]) -> Sequence[Logits]:
        """Compute one batch."""
        return self.model.run(windows)

    def pin(self) -> None:
        """Keep it in memory."""
        self.pins += 1

    def unpin(self) -> None:
        """Undo one `pin`."""
        self.pins -= 1
        if not self.pins:
            self.on_unpinned()

    @contextmanager
    def pinned(self) -> Iterator["Loaded"]:
        """Keep it in memory for a while."""
        self.pin()
        try:
            yield self
        finally:
            self.unpin()

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

    @property
    def pins(self) -> int:
        """How many hold it."""
        return self.loaded.pins if self.loaded else 0
