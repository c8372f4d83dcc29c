"""A bad window costs nobody else an answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.infer.batching.isolation import IsolatedRun, Poisoned


@dataclass
class Doubling:
    """Doubles numbers; a step fails on any batch with a bad one."""

    bad: set[int] = field(default_factory=set)
    failing_step: str = "compute"
    more_results: int = 0
    runs: int = 0

    def begin(self, windows: Sequence[int]) -> "Pass":
        self.fail("begin", windows)
        return Pass(self, windows)

    def fail(self, step: str, windows: Sequence[int]) -> None:
        if step == self.failing_step and self.bad & set(windows):
            raise ValueError("bad batch")


@dataclass
class Pass:
    """A batch of numbers."""

    doubling: Doubling
    windows: Sequence[int]

    def compute(self) -> None:
        self.doubling.runs += 1
        self.doubling.fail("compute", self.windows)

    def results(self) -> list[int]:
        self.doubling.fail("results", self.windows)
        return [2 * window for window in self.windows] + [0] * self.doubling.more_results


def _run(doubling: Doubling, windows: Sequence[int]) -> list[int | Poisoned]:
    run: IsolatedRun[int, int] = IsolatedRun(doubling.begin, windows)
    run.compute()
    return run.outcomes()


@pytest.mark.parametrize("step", ["begin", "compute"])
@given(size=st.integers(1, 40), data=st.data())
def test_only_the_guilty_fail(step: str, size: int, data: st.DataObject) -> None:
    """Whatever windows are bad, exactly they are poisoned and all others have their own result."""
    bad = data.draw(st.sets(st.integers(0, size - 1)))
    results = _run(Doubling(bad, step), list(range(size)))
    assert {place for place, result in enumerate(results) if isinstance(result, Poisoned)} == bad
    assert all(result == 2 * place for place, result in enumerate(results) if place not in bad)


def test_a_good_batch_runs_once() -> None:
    """Isolation costs nothing when all is well."""
    doubling = Doubling()
    assert _run(doubling, [1, 2, 3]) == [2, 4, 6]
    assert doubling.runs == 1


def test_one_guilty_of_many_costs_few_runs() -> None:
    """Halving finds 1 of 64 in 1 + 2 * 6 runs, not in 64."""
    doubling = Doubling({17})
    _run(doubling, list(range(64)))
    assert doubling.runs == 13


def test_a_batch_whose_results_break_has_none() -> None:
    """It was computed: that is no window's fault, and nothing is computed again."""
    doubling = Doubling({1}, "results")
    assert all(isinstance(result, Poisoned) for result in _run(doubling, [1, 2, 3]))
    assert doubling.runs == 1


def test_a_run_with_too_many_results_is_a_failed_run() -> None:
    """Results that cannot be told apart are nobody's results."""
    assert all(isinstance(result, Poisoned) for result in _run(Doubling(more_results=1), [7, 8]))
