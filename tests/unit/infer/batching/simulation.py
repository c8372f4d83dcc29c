"""A service on a virtual clock: windows arrive, runners run what a policy chooses, for exactly as long as the grids say."""

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import count

from services.infer.batching.policy import Decision, Limits, decide
from services.infer.batching.queue import WindowQueue
from tests.unit.infer.batching.grids import Window

Choose = Callable[[WindowQueue[Window], float, int], Decision[Window]]


def policy(limits: Limits) -> Choose:
    """The policy that serves."""
    return lambda queue, now_s, idle: decide(queue, now_s, limits=limits, idle_runners=idle)


@dataclass(frozen=True, slots=True)
class Run:
    """A batch that ran."""

    start_s: float
    end_s: float
    batch: tuple[Window, ...]


def padded_tokens(batch: Iterable[Window]) -> int:
    """What the model computes."""
    lengths = [each.tokens for each in batch]
    return len(lengths) * max(lengths)


class Service:
    """Runners, idle at first, and a queue. Windows that arrive at one moment are all there when it decides."""

    def __init__(
        self,
        choose: Choose,
        *,
        runners: int = 1,
        on_end: Callable[[Run], Iterable[Window]] = lambda _: (),
    ) -> None:
        """`on_end` gives what arrives as soon as a run has ended: callers that ask again."""
        self.queue: WindowQueue[Window] = WindowQueue()
        self.runs: list[Run] = []
        self.now_s = 0.0
        self._choose = choose
        self._idle = runners
        self._on_end = on_end
        self._numbers = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def serve(self, windows: Iterable[Window], *, until_s: float = float("inf")) -> list[Run]:
        """Let `windows` arrive and run until `until_s`, or until nothing is left to do; return all runs."""
        for each in windows:
            self._at(each.arrival_s, partial(self.queue.add, each))
        while self._events and self._events[0][0] <= until_s:
            self.now_s = self._events[0][0]
            while self._events and self._events[0][0] == self.now_s:
                heapq.heappop(self._events)[-1]()
            self._feed()
        return self.runs

    def _at(self, when_s: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when_s, next(self._numbers), act))

    def _feed(self) -> None:
        while self._idle and self.queue:
            decision = self._choose(self.queue, self.now_s, self._idle)
            assert decision.batch or decision.expired
            for each in decision.expired:
                each.fates.append("expired")
            if decision.batch:
                self._start(decision.batch)

    def _start(self, batch: tuple[Window, ...]) -> None:
        ms = batch[0].lane.cost.run_ms(len(batch), max(each.tokens for each in batch))
        run = Run(self.now_s, self.now_s + ms / 1000, batch)
        for each in batch:
            each.fates.append("answered" if run.end_s <= each.deadline_s else "late")
        self.runs.append(run)
        self._idle -= 1
        self._at(run.end_s, partial(self._end, run))

    def _end(self, run: Run) -> None:
        self._idle += 1
        for each in self._on_end(run):
            self._at(max(each.arrival_s, self.now_s), partial(self.queue.add, each))
