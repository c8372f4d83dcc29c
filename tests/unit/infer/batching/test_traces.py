"""The policy against batching by order of arrival, on the same arrivals, the same runners and the same clock."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from services.infer.batching.policy import Decision, Limits
from services.infer.batching.queue import WindowQueue
from services.infer.cost import CostGrid
from tests.unit.infer.batching.grids import Lane, Window, dear_runs, like_minilm, window
from tests.unit.infer.batching.simulation import Choose, Service, policy

LIMITS = Limits(batch_tokens=512, padding_ratio=1.25)
LONG_S = 1.5


def _banking77(source: random.Random) -> int:
    """Mostly 8 to 20 tokens, 15 on average, 80 at the most."""
    return min(80, max(4, round(source.lognormvariate(2.6, 0.45))))


def _long_tail(source: random.Random) -> int:
    """85 % of 8 to 20 tokens, 15 % of 100 to 250."""
    return source.randint(8, 20) if source.random() < 0.85 else source.randint(100, 250)


def _arrivals(
    source: random.Random, lane: Lane, model: str, load: float, lengths: Callable[[random.Random], int]
) -> list[Window]:
    """Poisson arrivals of a model's texts, each with 50 to 500 ms; `load` of a runner, at what texts cost in the best batches."""
    mean_ms = sum(lane.cost.window_ms(lengths(source)) for _ in range(1000)) / 1000
    windows, now_s = [], 0.0
    while (now_s := now_s + source.expovariate(1000 * load / mean_ms)) < LONG_S:
        deadline_s = now_s + source.uniform(0.05, 0.5)
        windows.append(
            window(lengths(source), lane=lane, model=model, arrival_s=now_s, deadline_s=deadline_s)
        )
    return windows


@dataclass(frozen=True, slots=True)
class Trace:
    """Arrivals of some models, each with a lane of its own: the same ones each time."""

    lengths: Callable[[random.Random], int]
    grid: Callable[[], CostGrid]
    load: float
    runners: int
    models: int
    seed: int

    def windows(self) -> list[Window]:
        """In the order of their arrival."""
        source = random.Random(self.seed)  # noqa: S311  # a recording, not a secret
        load = self.load * self.runners / self.models
        windows = [
            each
            for model in range(self.models)
            for each in _arrivals(source, Lane(self.grid()), f"model{model}", load, self.lengths)
        ]
        return sorted(windows, key=lambda each: each.arrival_s)


def _in_order(*, passes_over: bool) -> Choose:
    """Batches in order of arrival, as full as the limits allow: up to the first window that does not fit, or passing over such.

    It is told more than such servers are: what cannot be answered in time any more never runs.
    """

    def choose(queue: WindowQueue[Window], now_s: float, _: int) -> Decision[Window]:
        waiting = sorted(queue.deadlines(), key=lambda each: each.place)
        expired = [each for each in waiting if each.latest_start_s < now_s]
        batch: list[Window] = []
        for each in waiting:
            if each.latest_start_s >= now_s:
                if not batch or _fits([*batch, each]):
                    batch.append(each)
                elif not passes_over:
                    break
        return Decision(tuple(queue.remove(batch)), tuple(queue.remove(expired)))

    return choose


def _fits(batch: Sequence[Window]) -> bool:
    lengths = [each.tokens for each in batch]
    padded = len(batch) * max(lengths)
    is_small = padded <= LIMITS.batch_tokens and padded <= LIMITS.padding_ratio * sum(lengths)
    return is_small and batch[0].lane is batch[-1].lane


def _missed(trace: Trace, choose: Choose) -> int:
    windows = trace.windows()
    Service(choose, runners=trace.runners).serve(windows)
    assert len(windows) > 50
    assert all(len(each.fates) == 1 for each in windows)
    return sum(each.fates != ["answered"] for each in windows)


@pytest.mark.parametrize("lengths", [_banking77, _long_tail])
def test_several_models_with_dear_runs_miss_little_more_at_worst(
    lengths: Callable[[random.Random], int],
) -> None:
    """Fair shares have a price where runs are dear and models many: order of arrival, which has none, misses fewer here and there; never
    by more than a fifth, and over all traces more.
    """
    ours, by_arrival = [], []
    for seed in range(101, 111):
        for load in (0.7, 0.9, 1.0):
            trace = Trace(lengths, dear_runs, load, 1, 3, seed)
            ours.append(_missed(trace, policy(LIMITS)))
            by_arrival.append(_missed(trace, _in_order(passes_over=True)))
    assert all(mine <= 1.2 * theirs + 5 for mine, theirs in zip(ours, by_arrival, strict=True))
    assert sum(ours) <= sum(by_arrival)


@pytest.mark.parametrize("load", [0.5, 0.7, 0.8, 0.9, 1.0, 1.25, 1.5])
@pytest.mark.parametrize(("runners", "models", "seed"), [(1, 1, 1), (1, 1, 2), (2, 1, 3), (1, 3, 4)])
@pytest.mark.parametrize("grid", [like_minilm, dear_runs])
@pytest.mark.parametrize("lengths", [_banking77, _long_tail])
def test_never_more_deadlines_are_missed_than_by_order_of_arrival(
    lengths: Callable[[random.Random], int],
    grid: Callable[[], CostGrid],
    runners: int,
    models: int,
    seed: int,
    load: float,
) -> None:
    """On these traces, from half of what can be done to half as much again; whether batches by arrival stop at what does not fit or pass it over."""
    trace = Trace(lengths, grid, load, runners, models, seed)
    missed = _missed(trace, policy(LIMITS))
    by_arrival = [_missed(trace, _in_order(passes_over=passes_over)) for passes_over in (False, True)]
    assert missed <= min(by_arrival)


@pytest.mark.parametrize("grid", [like_minilm, dear_runs])
@pytest.mark.parametrize("lengths", [_banking77, _long_tail])
def test_overload_costs_little_of_what_can_be_answered(
    lengths: Callable[[random.Random], int], grid: Callable[[], CostGrid]
) -> None:
    """At three times the load as many texts are answered in time as at what can just be done, less a fifth at the most."""
    usual, overload = (Trace(lengths, grid, load, 1, 1, seed=3) for load in (1.0, 3.0))
    answered = [len(trace.windows()) - _missed(trace, policy(LIMITS)) for trace in (usual, overload)]
    assert answered[1] >= 0.8 * answered[0]


@pytest.mark.parametrize(("few", "many"), [(0.05, 3.0), (0.2, 3.0), (0.2, 1.5), (1.5, 1.5)])
@pytest.mark.parametrize(("own", "other"), [(like_minilm, dear_runs), (dear_runs, dear_runs)])
def test_overload_of_one_model_is_not_paid_by_another(
    own: Callable[[], CostGrid], other: Callable[[], CostGrid], few: float, many: float
) -> None:
    """However much more comes for the other, with deadlines: a model that asks for less than its half is answered nine times in ten,
    and one that asks for more gets at least a third of the time.
    """
    source = random.Random(7)  # noqa: S311  # a recording, not a secret
    mine = _arrivals(source, Lane(own()), "mine", few, _banking77)
    others = _arrivals(source, Lane(other()), "other", many, _banking77)
    runs = Service(policy(LIMITS)).serve(sorted(mine + others, key=lambda each: each.arrival_s))
    if few < 0.5:
        assert sum(each.fates == ["answered"] for each in mine) >= 0.9 * len(mine)
    else:
        seconds = dict.fromkeys(("mine", "other"), 0.0)
        for run in runs:
            seconds[run.batch[0].model] += run.end_s - run.start_s
        assert min(seconds.values()) > sum(seconds.values()) / 3
