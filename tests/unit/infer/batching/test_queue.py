"""The queue against a naive one that looks at everything each time."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.infer.batching.queue import BULK_PATIENCE_S, PATIENCE_S, WindowQueue
from tests.unit.infer.batching.grids import Lane, Window, per_token, queue_of, window

LANES = (Lane(per_token()), Lane(per_token()))
MODELS = ("banking", "support", "legal")


def _due_s(each: Window) -> float:
    return min(each.deadline_s, each.arrival_s + PATIENCE_S)


@dataclass
class Naive:
    """What waits, in the order of arrival."""

    waiting: list[Window] = field(default_factory=list)

    def remove(self, some: list[Window]) -> list[Window]:
        removed = [each for each in some if each in self.waiting]
        self.waiting = [each for each in self.waiting if each not in removed]
        return removed

    def may_be_preferred(self) -> set[Window]:
        """The first of each model in the class that is served; which model it is, its shares decide."""
        class_ = [each for each in self.waiting if not each.is_bulk] or self.waiting
        first: dict[str, Window] = {}
        for each in sorted(class_, key=lambda each: (_due_s(each), each.deadline_s)):
            first.setdefault(each.model, each)
        return set(first.values())

    def deadlines(self) -> list[Window]:
        have_one = [each for each in self.waiting if each.deadline_s < math.inf]
        return sorted(have_one, key=lambda each: each.deadline_s)

    def neighbours(self, of: Window) -> list[Window]:
        alike = [each for each in self.waiting if each.lane is of.lane and each.is_bulk == of.is_bulk]
        return sorted(alike, key=lambda each: each.tokens)


def _agree(queue: WindowQueue[Window], naive: Naive) -> None:
    assert (len(queue), queue.tokens) == (len(naive.waiting), sum(each.tokens for each in naive.waiting))
    assert bool(queue) == bool(naive.waiting)
    deadlines = naive.deadlines()
    assert list(queue.deadlines()) == deadlines
    assert queue.first_deadline is (deadlines[0] if deadlines else None)
    if naive.waiting:
        assert queue.preferred() in naive.may_be_preferred()
    for each in naive.waiting:
        order, place = queue.neighbours(each)
        assert [entry[-1] for entry in order] == naive.neighbours(each)
        assert [entry[0] for entry in order] == [entry[-1].tokens for entry in order]
        assert order[place][-1] is each


_steps = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 11), st.sampled_from((0.0, 0.5, 1.0, 1.5, math.inf))),
    st.tuples(st.just("remove"), st.lists(st.integers(0, 40), max_size=4), st.just(0.0)),
    st.tuples(st.just("charge"), st.integers(0, 2), st.sampled_from((1.0, 2.5, 40.0))),
    st.tuples(st.just("age"), st.just(0), st.sampled_from((0.0, 0.5, 1.0, BULK_PATIENCE_S))),
)


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(_steps, max_size=60), lengths=st.randoms(use_true_random=False))
def test_it_tells_what_a_naive_queue_would(steps: list[tuple[str, object, float]], lengths: object) -> None:
    """After any windows have come, left, aged and been served: every order, every count and every choice is that of a plain list;
    nothing is lost, and what left twice leaves once.
    """
    queue: WindowQueue[Window] = WindowQueue()
    naive, known, now_s = Naive(), [], 0.0
    for kind, number, value in steps:
        match kind, number:
            case "add", int():
                new = window(
                    lengths.choice((3, 8, 8, 9, 64)),  # type: ignore[attr-defined]
                    lane=LANES[number % 2],
                    model=MODELS[number % 3],
                    arrival_s=now_s,
                    deadline_s=now_s + value,
                    is_bulk=number >= 6,
                )
                known.append(new)
                queue.add(new)
                naive.waiting.append(new)
            case "remove", list():
                some = [known[place % len(known)] for place in dict.fromkeys(number) if known]
                some = list(dict.fromkeys(some))
                assert queue.remove(some) == naive.remove(some)
            case "charge", int() if any(each.model == MODELS[number] for each in naive.waiting):
                queue.charge(MODELS[number], value)
            case "age", _:
                now_s += value
                overdue = [
                    each
                    for each in naive.waiting
                    if each.is_bulk and each.arrival_s + BULK_PATIENCE_S <= now_s
                ]
                queue.age(now_s)
                assert not any(each.is_bulk for each in overdue)
        _agree(queue, naive)
    assert queue.remove(known) == [each for each in known if each in naive.waiting]
    assert (len(queue), queue.tokens, queue.first_deadline) == (0, 0, None)


def test_a_bulk_window_counts_as_interactive_when_its_patience_ends() -> None:
    """Not a moment before; and its length then stands among the interactive ones."""
    bulk, other = window(is_bulk=True, arrival_s=2.0), window(arrival_s=2.0, model="support")
    queue = queue_of([bulk, other])
    queue.age(2.0 + BULK_PATIENCE_S - 0.001)
    assert bulk.is_bulk
    assert [entry[-1] for entry in queue.neighbours(other)[0]] == [other]
    queue.age(2.0 + BULK_PATIENCE_S)
    assert not bulk.is_bulk
    assert [entry[-1] for entry in queue.neighbours(other)[0]] == [bulk, other]


def test_idle_time_is_no_credit() -> None:
    """A model that comes back after the others were served stands level with the least served of them, not ahead by an hour."""
    queue = queue_of(window(model="banking") for _ in range(3))
    for _ in range(3600):
        queue.charge("banking", 1000)
    queue.add(window(model="support"))
    queue.charge("support", 2000)
    assert queue.preferred().model == "banking"


def test_the_model_that_was_served_least_is_preferred() -> None:
    """Turn by turn, whatever each turn costs."""
    queue = queue_of(window(model=model) for model in MODELS for _ in range(10))
    cost_ms = {"banking": 1.0, "support": 2.0, "legal": 4.0}
    turns = []
    for _ in range(70):
        turns.append(queue.preferred().model)
        queue.charge(turns[-1], cost_ms[turns[-1]])
    shares_ms = [cost_ms[model] * turns.count(model) for model in MODELS]
    assert max(shares_ms) - min(shares_ms) <= max(cost_ms.values())


def test_a_model_cannot_shed_what_it_was_served_by_leaving() -> None:
    """One whose last window left and that comes back at once still waits for the others."""
    only, other = window(model="banking"), window(model="support")
    queue = queue_of([only, other])
    queue.charge("banking", 100)
    queue.remove([only])
    queue.add(window(model="banking"))
    assert queue.preferred() is other


@pytest.mark.parametrize("removed", [0, 1, 2])
def test_latest_start_is_the_deadline_less_a_run_alone(removed: int) -> None:
    """Of the window's own lane; and a window that left has no place any more."""
    windows = [window(tokens, deadline_s=1.0, lane=Lane(per_token(10.0))) for tokens in (10, 20, 100)]
    queue = queue_of(windows)
    assert [each.latest_start_s for each in windows] == pytest.approx([0.9, 0.8, 0.0])
    queue.remove([windows[removed]])
    assert [each.place < 0 for each in windows] == [place == removed for place in range(3)]
