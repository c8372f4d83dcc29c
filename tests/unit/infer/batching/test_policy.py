"""The batching policy, alone and in a simulated service on a virtual clock."""

import heapq
import math
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.infer.batching.policy import LOOK_AHEAD, Limits, decide

LANES = ("banking", "support", "legal")  # literals: equal lanes are identical
LIMITS = Limits(batch_tokens=256, padding_ratio=1.25)


@dataclass(eq=False)
class Window:
    tokens: int
    lane: object = LANES[0]
    deadline_s: float = math.inf
    arrival_s: float = 0.0
    fates: list[str] = field(default_factory=list)


def _padded(batch: tuple[Window, ...]) -> int:
    return len(batch) * max(window.tokens for window in batch)


def _decide(waiting: list[Window], now_s: float = 0.0, idle_runners: int = 1) -> tuple[Window, ...]:
    return decide(waiting, now_s, limits=LIMITS, idle_runners=idle_runners).batch


def test_an_empty_queue_decides_nothing() -> None:
    """Nothing waits, nothing runs."""
    decision = decide([], 0.0, limits=LIMITS, idle_runners=1)
    assert (decision.batch, decision.expired) == ((), ())


def test_a_window_longer_than_the_budget_runs_alone() -> None:
    """The budget never keeps a window from running."""
    long = Window(1000)
    assert _decide([long, Window(1000)]) == (long,)


def test_expired_windows_leave_without_running() -> None:
    """A deadline that is now, or past, keeps a window out of the batch."""
    past, now, later = Window(8, deadline_s=4.0), Window(8, deadline_s=5.0), Window(8, deadline_s=5.1)
    decision = decide([past, later, now], 5.0, limits=LIMITS, idle_runners=1)
    assert decision.expired == (past, now)
    assert decision.batch == (later,)


def test_a_batch_is_made_of_lengths_near_the_oldest() -> None:
    """Short and long windows do not pad each other: the oldest's neighbours in length come along, the others wait."""
    oldest = Window(20)
    near = [Window(19), Window(21), Window(20)]
    far = [Window(2), Window(60)]
    assert sorted(window.tokens for window in _decide([oldest, *far, *near])) == [19, 20, 20, 21]


def test_lanes_do_not_mix() -> None:
    """The oldest window's lane runs; the other waits for its turn."""
    first, other, second = Window(8), Window(8, lane=LANES[1]), Window(8)
    assert _decide([first, other, second]) == (first, second)


def test_one_call_spreads_over_idle_runners() -> None:
    """With four runners idle, eight equal windows run as four batches of two at once, not as one of eight."""
    waiting = [Window(8) for _ in range(8)]
    sizes = []
    for idle in (4, 3, 2, 1):
        batch = _decide(waiting, idle_runners=idle)
        waiting = [window for window in waiting if window not in batch]
        sizes.append(len(batch))
    assert sizes == [2, 2, 2, 2]
    assert not waiting


def test_a_decision_looks_at_a_bounded_part_of_the_queue() -> None:
    """However long the queue, a decision costs the same: only the oldest LOOK_AHEAD windows are candidates."""
    queue = (Window(1) for _ in count())  # endless
    assert len(decide(queue, 0.0, limits=Limits(10**9, 2), idle_runners=1).batch) == LOOK_AHEAD


_windows = st.builds(
    Window,
    tokens=st.integers(1, 300),
    lane=st.sampled_from(LANES),
    deadline_s=st.one_of(st.just(math.inf), st.floats(0, 60)),
    arrival_s=st.floats(0, 30),
)


@settings(max_examples=150, deadline=None)
@given(
    windows=st.lists(_windows, max_size=60),
    runner_count=st.integers(1, 3),
    budget=st.integers(16, 2048),
    ratio=st.floats(1, 3),
)
def test_every_window_has_one_fate(
    windows: list[Window], runner_count: int, budget: int, ratio: float
) -> None:
    """In a simulated service: nothing is lost, run twice or run late; budget and padding cap hold; and the oldest live window is
    in every batch, so none starves.
    """
    limits = Limits(budget, ratio)
    events = [(window.arrival_s, number, window) for number, window in enumerate(windows)]
    heapq.heapify(events)
    numbers = count(len(windows))
    queue: list[Window] = []
    idle = runner_count
    while events:
        now_s, _, arrived = heapq.heappop(events)
        if arrived is None:
            idle += 1
        else:
            queue.append(arrived)
        while idle and queue:
            decision = decide(queue, now_s, limits=limits, idle_runners=idle)
            live = [window for window in queue if window.deadline_s > now_s]
            assert (live[0] in decision.batch) if live else not decision.batch
            for window in decision.expired:
                window.fates.append("expired")
                assert window.deadline_s <= now_s
            for window in decision.batch:
                window.fates.append("ran")
                assert window.deadline_s > now_s
            queue = [window for window in queue if not window.fates]
            if decision.batch:
                _check(decision.batch, limits)
                idle -= 1
                heapq.heappush(events, (now_s + _padded(decision.batch) / 100, next(numbers), None))
    assert not queue
    assert [len(window.fates) for window in windows] == [1] * len(windows)


def _check(batch: tuple[Window, ...], limits: Limits) -> None:
    assert {window.lane for window in batch} == {batch[0].lane}
    assert [window.tokens for window in batch] == sorted(window.tokens for window in batch)
    if len(batch) > 1:
        assert _padded(batch) <= limits.batch_tokens
        assert _padded(batch) <= limits.padding_ratio * sum(window.tokens for window in batch)


@pytest.mark.parametrize("lengths", [[10] * 100, [10, 11] * 50])
def test_a_busy_queue_of_like_lengths_fills_the_budget(lengths: list[int]) -> None:
    """Batches form when there is something to form them from."""
    batch = _decide([Window(length) for length in lengths])
    assert _padded(batch) > LIMITS.batch_tokens - 12
