"""Versions, lanes and runners for the dispatcher on a virtual clock: a run takes a told time and answers what can be told apart."""

import asyncio
import heapq
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from services.infer.batching.dispatcher import Dispatcher
from services.infer.batching.outcomes import Incident, Ran
from services.infer.batching.policy import Limits
from services.infer.cost import CostGrid
from shared.names import VersionName
from shared.runtime.classification import Logits
from shared.runtime.windows import Window
from tests.unit.infer.batching.grids import per_run

RUN_S = 1.0


@dataclass(frozen=True)
class FakeWindow:
    value: int
    token_count: int = 8


@dataclass(eq=False)
class Reader:
    """A version: `factor` times its windows' values are its logits."""

    lane: "Lane"
    version: VersionName
    factor: int = 1
    pins: int = 0

    def pin(self) -> None:
        self.pins += 1

    def unpin(self) -> None:
        assert self.pins > 0
        self.pins -= 1


@dataclass(eq=False)
class Lane:
    """Answers each window for each of its readers; raises if a batch holds a poisoned one."""

    poison: int | None = None
    cost: CostGrid = field(default_factory=lambda: per_run(1000 * RUN_S))
    batches: list[list[int]] = field(default_factory=list)

    def begin(self, works: Sequence["Work"]) -> "Pass":
        return Pass(self, works)


Work = tuple[FakeWindow, Sequence[Reader]]


@dataclass(frozen=True)
class Pass:
    """A batch on a Lane."""

    lane: Lane
    works: Sequence[Work]

    def compute(self) -> None:
        assert all(
            reader.pins > 0 and reader.lane is self.lane for _, readers in self.works for reader in readers
        )
        values = [window.value for window, _ in self.works]
        self.lane.batches.append(values)
        if self.lane.poison in values:
            raise ValueError("poison")

    def results(self) -> list[tuple[Logits, ...]]:
        return [
            tuple(np.array([reader.factor * window.value], dtype=np.float32) for reader in readers)
            for window, readers in self.works
        ]


class VirtualRunners(Executor):
    """Threads without threads: a submitted job takes `run_s` of the loop's clock, when the thread that is free first begins it."""

    def __init__(self, run_s: float = RUN_S, *, threads: int = 1) -> None:
        self.run_s = run_s
        self.free_s = [0.0] * threads

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        job: Future[Any] = Future()
        loop = asyncio.get_running_loop()
        ends_s = max(loop.time(), heapq.heappop(self.free_s)) + self.run_s
        heapq.heappush(self.free_s, ends_s)
        loop.call_at(ends_s, lambda: job.set_result(fn(*args, **kwargs)))
        return job


def reader(model: str = "banking", **fields: Any) -> Reader:
    """A version alone on a lane of its own."""
    return Reader(Lane(**fields), VersionName(model, 7))


def dispatcher(
    *,
    runners: Executor | None = None,
    runner_count: int = 1,
    queue_limit_tokens: int = 10_000,
    most_ahead: int = 0,
) -> Dispatcher:
    """Batches of at most 32 of the windows here."""
    limits = Limits(batch_tokens=256, padding_ratio=1.25)
    threads = runners or VirtualRunners(threads=runner_count)
    return Dispatcher(threads, runner_count, limits, queue_limit_tokens, most_ahead)


def windows(*values: int) -> list[Window]:
    """Windows that can be told apart."""
    return cast("list[Window]", [FakeWindow(value) for value in values])


def values(ran: Ran, reader: int = 0) -> list[float]:
    """What the reader of that number made of the windows; not a number for an incident."""
    return [
        math.nan if isinstance(outcome, Incident) else float(outcome[reader][0]) for outcome in ran.outcomes
    ]
