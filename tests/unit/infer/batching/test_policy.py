"""The batching policy: which windows run together, and what becomes of every one of them."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.infer.batching.policy import Decision, Limits, decide
from services.infer.batching.queue import WindowQueue
from services.infer.cost import Cell, CostGrid
from tests.unit.infer.batching.grids import (
    Lane,
    Window,
    dear_runs,
    like_minilm,
    per_run,
    per_token,
    queue_of,
    window,
)
from tests.unit.infer.batching.simulation import Service, padded_tokens, policy

LIMITS = Limits(batch_tokens=256, padding_ratio=1.25)
FILLING = Lane(per_run(10.0))
LANES = (Lane(per_token(0.1)), Lane(like_minilm()), FILLING)


def _decide(waiting: list[Window], now_s: float = 0.0, idle_runners: int = 1) -> Decision[Window]:
    return decide(queue_of(waiting), now_s, limits=LIMITS, idle_runners=idle_runners)


def test_an_empty_queue_decides_nothing() -> None:
    """Nothing waits, nothing runs."""
    decision = _decide([])
    assert (decision.batch, decision.expired) == ((), ())


def test_a_window_longer_than_the_budget_runs_alone() -> None:
    """The budget never keeps a window from running."""
    long = window(1000, lane=FILLING)
    assert _decide([long, window(1000, lane=FILLING)]).batch == (long,)


def test_what_could_not_be_answered_in_time_leaves_without_running() -> None:
    """A deadline that is past, or nearer than a run of the window alone takes, keeps it out of the batch."""
    past, too_near, just = (window(8, deadline_s=each, lane=Lane(per_token(1.0))) for each in (4, 5, 5.008))
    decision = _decide([too_near, just, past], 5.0)
    assert set(decision.expired) == {past, too_near}
    assert decision.batch == (just,)


def test_a_batch_is_made_of_lengths_near_the_first() -> None:
    """Short and long windows do not pad each other: the first one's neighbours in length come along, the others wait."""
    first = window(20, lane=FILLING)
    near = [window(tokens, lane=FILLING) for tokens in (19, 21, 20)]
    far = [window(tokens, lane=FILLING) for tokens in (2, 60)]
    assert [each.tokens for each in _decide([first, *far, *near]).batch] == [19, 20, 20, 21]


def test_lanes_and_classes_do_not_mix() -> None:
    """What comes first runs with those of its lane and class, and the others wait for their turn."""
    other_lane, bulk = window(lane=Lane(per_run(1.0))), window(lane=FILLING, is_bulk=True)
    first, second = window(lane=FILLING), window(lane=FILLING)
    assert _decide([first, other_lane, bulk, second]).batch == (first, second)


def test_interactive_windows_go_before_bulk_ones() -> None:
    """However long these have waited, up to their patience."""
    bulk = [window(is_bulk=True, lane=FILLING, arrival_s=0.0) for _ in range(3)]
    interactive = window(lane=FILLING, arrival_s=4.9)
    assert _decide([*bulk, interactive], 4.9).batch == (interactive,)


def test_one_call_spreads_over_idle_runners() -> None:
    """With four runners idle, eight equal windows run as four batches of two at once, not as one of eight."""
    waiting, sizes = queue_of(window(lane=FILLING) for _ in range(8)), []
    for idle in (4, 3, 2, 1):
        sizes.append(len(decide(waiting, 0.0, limits=LIMITS, idle_runners=idle).batch))
    assert sizes == [2, 2, 2, 2]
    assert not waiting


@pytest.mark.parametrize("lengths", [[10] * 100, [10, 11] * 50])
def test_where_a_run_costs_the_same_whatever_is_in_it_the_budget_is_filled(lengths: list[int]) -> None:
    """Batches form when there is something to form them from."""
    batch = _decide([window(length, lane=FILLING) for length in lengths]).batch
    assert LIMITS.batch_tokens - 12 < padded_tokens(batch) <= LIMITS.batch_tokens


def test_the_batch_is_as_large_as_costs_least_for_a_token() -> None:
    """Where 8 windows in a run cost least, 100 like windows run by 8, though the budget would hold 32."""
    cells = [(1, 2.0), (2, 3.0), (4, 5.0), (8, 8.0), (16, 20.0), (32, 48.0)]
    lane = Lane(CostGrid(Cell(count, 8, ms) for count, ms in cells))
    runs = Service(policy(LIMITS)).serve([window(8, lane=lane) for _ in range(100)])
    assert [len(run.batch) for run in runs] == [8] * 12 + [4]


def test_where_batches_gain_nothing_windows_run_alone() -> None:
    """Nobody waits for company that does not help."""
    runs = Service(policy(LIMITS)).serve([window(8) for _ in range(10)])
    assert [len(run.batch) for run in runs] == [1] * 10


def test_a_batch_stays_small_enough_for_the_deadlines_in_it() -> None:
    """A window whose deadline leaves time for a run of three of its kind does not run as one of 32."""
    lane = Lane(CostGrid([Cell(1, 8, 11.0), Cell(32, 8, 42.0)]))  # 10 ms and 1 ms for each window
    urgent = window(8, lane=lane, deadline_s=0.0131)
    batch = _decide([*(window(8, lane=lane) for _ in range(40)), urgent]).batch
    assert urgent in batch
    assert len(batch) == 3


def test_no_deadline_is_given_up_for_those_who_have_time() -> None:
    """Where starting a run is dear, a window with a near deadline among many that may wait still runs, in a small batch."""
    lane = Lane(dear_runs())
    urgent = window(12, lane=lane, deadline_s=0.012)
    waiting = [window(12, lane=lane, deadline_s=each) for each in [60.0] * 20 + [math.inf] * 20]
    service = Service(policy(Limits(512, 1.25)))
    service.serve([*waiting, urgent])
    assert all(each.fates == ["answered"] for each in (urgent, *waiting))


def test_a_deadline_that_a_preferred_run_would_cost_goes_first() -> None:
    """The model that was served least gives way as long as the other's deadline can still be met, and no longer."""
    slow = Lane(per_run(100.0))
    for deadline_s, is_first in ((0.05, True), (0.109, True), (0.111, False)):
        least_served = window(8, lane=slow, model="support")
        urgent = window(8, lane=FILLING, model="banking", deadline_s=deadline_s)
        queue = queue_of([urgent, least_served])
        queue.charge("banking", 5.0)
        batch = decide(queue, 0.0, limits=LIMITS, idle_runners=1).batch
        assert batch == ((urgent,) if is_first else (least_served,))


_windows = st.builds(
    window,
    st.integers(1, 300),
    lane=st.sampled_from(LANES),
    model=st.sampled_from(("banking", "support", "legal")),
    arrival_s=st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 10)),
    deadline_s=st.just(0.0),
    is_bulk=st.booleans(),
)
_patience_s = st.one_of(st.just(math.inf), st.floats(0, 0.3), st.floats(0, 8))


@settings(max_examples=200, deadline=None)
@given(
    windows=st.lists(st.tuples(_windows, _patience_s), max_size=60),
    runners=st.integers(1, 3),
    budget=st.integers(1, 2048),
    ratio=st.floats(1, 3),
)
def test_every_window_has_one_fate(
    windows: list[tuple[Window, float]], runners: int, budget: int, ratio: float
) -> None:
    """In a simulated service nothing is lost, nothing runs twice and nothing runs that cannot be in time; a batch has one lane and
    one class and keeps to the budget and the padding cap; what is not answered could not have been, or had a deadline that would
    have cost others theirs.
    """
    for each, patience_s in windows:
        each.deadline_s = each.arrival_s + patience_s
    limits = Limits(budget, ratio)
    choose = policy(limits)

    def checked(queue: WindowQueue[Window], now_s: float, idle: int) -> Decision[Window]:
        decision = choose(queue, now_s, idle)
        given_up = [each for each in decision.expired if each.latest_start_s >= now_s]
        assert not given_up or _others_have_deadlines(queue, decision)
        assert all(each.latest_start_s >= now_s for each in decision.batch)
        _check(decision, limits)
        return decision

    service = Service(checked, runners=runners)
    service.serve(each for each, _ in windows)
    assert not service.queue
    for each, patience_s in windows:
        assert each.fates in (["answered"], ["expired"])
        assert each.fates == ["answered"] or patience_s < math.inf


def _others_have_deadlines(queue: WindowQueue[Window], decision: Decision[Window]) -> bool:
    return queue.first_deadline is not None or any(each.deadline_s < math.inf for each in decision.batch)


def _check(decision: Decision[Window], limits: Limits) -> None:
    batch = decision.batch
    assert len({each.lane for each in batch}) <= 1
    assert len({each.is_bulk for each in batch}) <= 1
    assert [each.tokens for each in batch] == sorted(each.tokens for each in batch)
    assert not set(batch) & set(decision.expired)
    if len(batch) > 1:
        assert padded_tokens(batch) <= limits.batch_tokens
        assert padded_tokens(batch) <= limits.padding_ratio * sum(each.tokens for each in batch)
