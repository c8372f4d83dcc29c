"""A bad window costs nobody else an answer."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.infer.batching.isolation import Poisoned, run_isolated


class Runner:
    """Doubles numbers; raises on any batch with a bad one."""

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad
        self.runs = 0

    def __call__(self, windows: Sequence[int]) -> list[int]:
        self.runs += 1
        if self.bad & set(windows):
            raise ValueError("bad batch")
        return [2 * window for window in windows]


@given(size=st.integers(1, 40), data=st.data())
def test_only_the_guilty_fail(size: int, data: st.DataObject) -> None:
    """Whatever windows are bad, exactly they are poisoned and all others have their own result."""
    bad = data.draw(st.sets(st.integers(0, size - 1)))
    results = run_isolated(Runner(bad), list(range(size)))
    assert {place for place, result in enumerate(results) if isinstance(result, Poisoned)} == bad
    assert all(result == 2 * place for place, result in enumerate(results) if place not in bad)


def test_a_good_batch_runs_once() -> None:
    """Isolation costs nothing when all is well."""
    runner = Runner(set())
    assert run_isolated(runner, [1, 2, 3]) == [2, 4, 6]
    assert runner.runs == 1


def test_one_guilty_of_many_costs_few_runs() -> None:
    """Halving finds 1 of 64 in 1 + 2 * 6 runs, not in 64."""
    runner = Runner({17})
    run_isolated(runner, list(range(64)))
    assert runner.runs == 13


@pytest.mark.parametrize("answers", [[], [1, 2, 3]])
def test_a_run_with_too_few_or_too_many_results_is_a_failed_run(answers: list[int]) -> None:
    """Results that cannot be told apart are nobody's results."""
    assert all(isinstance(result, Poisoned) for result in run_isolated(lambda _: answers, [7, 8]))
