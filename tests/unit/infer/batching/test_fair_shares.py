"""Who is served when there is more to do than time: fair shares between models, and nobody waits for ever."""

import math
from collections import Counter
from collections.abc import Callable, Iterable

import pytest

from services.infer.batching.policy import Limits
from services.infer.batching.queue import BULK_PATIENCE_S, PATIENCE_S
from services.infer.cost import CostGrid
from tests.unit.infer.batching.grids import Lane, Window, like_minilm, per_run, per_token, window
from tests.unit.infer.batching.simulation import Run, Service, policy

LIMITS = Limits(batch_tokens=256, padding_ratio=1.25)
GRIDS = {
    "cheap": per_run(2.0),
    "dear": per_run(90.0),
    "batches gain nothing": per_token(0.5),
    "like MiniLM": like_minilm(),
}


def _seconds(runs: Iterable[Run]) -> Counter[str]:
    seconds: Counter[str] = Counter()
    for run in runs:
        for each in run.batch:
            seconds[each.model] += (run.end_s - run.start_s) / len(run.batch)  # type: ignore[assignment]
    return seconds


@pytest.mark.parametrize("runners", [1, 2])
@pytest.mark.parametrize("other", GRIDS)
def test_two_models_that_always_have_work_get_half_the_time_each(other: str, runners: int) -> None:
    """Whatever a run of theirs costs, and however much more of the one waits: within a run of each."""
    lanes = {"banking": Lane(GRIDS["like MiniLM"]), "support": Lane(GRIDS[other])}
    waiting = [window(20, lane=lanes["banking"], model="banking") for _ in range(20_000)]
    waiting += [window(50, lane=lanes["support"], model="support") for _ in range(12_000)]
    runs = Service(policy(LIMITS), runners=runners).serve(waiting, until_s=4.0)
    seconds = _seconds(runs)
    longest_s = max(run.end_s - run.start_s for run in runs)
    assert seconds.total() > 3.5 * runners
    assert abs(seconds["banking"] - seconds["support"]) <= (1 + runners) * longest_s


def test_callers_that_ask_again_and_again_share_as_well() -> None:
    """One caller of the one model, of whom nothing waits while he is served, and fifty of the other."""
    lanes = {"banking": Lane(per_run(30.0)), "support": Lane(per_run(3.0))}

    def again(run: Run) -> list[Window]:
        return [_like(each, run.end_s) for each in run.batch]

    callers = [window(lane=lanes["banking"], model="banking")]
    callers += [window(200, lane=lanes["support"], model="support") for _ in range(50)]
    runs = Service(policy(LIMITS), on_end=again).serve(callers, until_s=10.0)
    seconds = _seconds(runs)
    assert abs(seconds["banking"] - seconds["support"]) < 0.1


def _like(each: Window, arrival_s: float, deadline_s: float = math.inf) -> Window:
    return window(
        each.tokens,
        lane=each.lane,  # type: ignore[arg-type]
        model=each.model,
        arrival_s=arrival_s,
        deadline_s=deadline_s,
        is_bulk=each.is_bulk,
    )


@pytest.mark.parametrize("deadline_s", [math.inf, 60.0])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_flood_delays_another_models_lone_window_by_about_one_batch(
    grid: CostGrid, deadline_s: float
) -> None:
    """It begins when the batch ends that ran when it came."""
    flood = [window(50, lane=Lane(grid), model="banking", deadline_s=deadline_s) for _ in range(1000)]
    service = Service(policy(LIMITS))
    came_s = service.serve(flood, until_s=0.5)[-1].start_s + 1e-6
    lone = window(lane=Lane(per_run(1.0)), model="support", arrival_s=came_s)
    service = Service(policy(LIMITS))
    runs = service.serve([*(_like(each, 0.0, deadline_s) for each in flood), lone], until_s=2.0)
    before = [run for run in runs if run.start_s < came_s][-1]
    (mine,) = [run for run in runs if lone in run.batch]
    assert mine.start_s == before.end_s


RUN_S = 1 / 128  # in whole parts of which all is told here, so that the clock is exact
FULL = LIMITS.batch_tokens  # windows so long run alone, for RUN_S each
LANE = Lane(per_token(1000 * RUN_S / FULL))
CAME_S, LONG_S = 1.0, 20.0
OVERDUE_S = 5.0  # so long what has no deadline may have to give way to what has, beyond patience

MODELS: dict[str, Callable[[int], str]] = {
    "of its own model": lambda _: "banking",
    "of another model": lambda _: "support",
    "of ever new models": lambda number: f"model{number}",
}


def _flow(load: float, slack_s: float, model: Callable[[int], str]) -> list[Window]:
    """As many windows as take `load` of the time, until LONG_S."""
    arrivals_s = [number * RUN_S / load for number in range(int(LONG_S * load / RUN_S))]
    return [
        window(FULL, lane=LANE, model=model(number), arrival_s=now_s, deadline_s=now_s + slack_s)
        for number, now_s in enumerate(arrivals_s)
    ]


@pytest.mark.parametrize("load", [1.0, 1.5])
@pytest.mark.parametrize("slack_runs", [1.25, 1.5, 12, math.inf])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("is_bulk", [False, True], ids=["interactive", "bulk"])
def test_nobody_waits_for_ever(
    load: float, slack_runs: float, model: Callable[[int], str], is_bulk: bool
) -> None:
    """In a never-ending flow of other windows, as many as can be run or more: one without a deadline begins as soon as what was
    there before it is done or gone and all patience is at its end, whoever's deadlines that costs.
    """
    waits = window(FULL, lane=LANE, model="banking", arrival_s=CAME_S, is_bulk=is_bulk)
    flow = _flow(load, slack_runs * RUN_S, model)
    runs = Service(policy(LIMITS)).serve([*flow, waits], until_s=LONG_S)
    begun_s = next((run.start_s for run in runs if waits in run.batch), math.inf)
    patience_s = PATIENCE_S + (BULK_PATIENCE_S if is_bulk else 0.0) + (OVERDUE_S if slack_runs < 2 else 0.0)
    before_s = min(slack_runs * RUN_S, (load - 1.0) * (CAME_S + patience_s))
    assert begun_s - CAME_S <= before_s + patience_s + 5 * RUN_S
