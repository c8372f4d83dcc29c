"""The dispatcher on a virtual clock, with runners that take a told time: what runs together, when, and whose answer is whose."""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from prometheus_client import Counter
from structlog.testing import capture_logs

from services.infer.batching.outcomes import Incident
from services.infer.cost import CostGrid
from shared.names import VersionName
from shared.telemetry import metrics
from tests.unit.infer.batching.grids import per_run, per_token
from tests.unit.infer.batching.virtual import (
    FakeWindow,
    Lane,
    Reader,
    VirtualRunners,
    dispatcher,
    reader,
    values,
    windows,
)

pytestmark = pytest.mark.looptime


async def test_an_idle_service_dispatches_at_once(looptime: Any) -> None:
    """Nothing waits for company: one window takes the time of one run."""
    ran = await dispatcher().run((reader(),), windows(1))
    assert looptime == 1.0
    assert (ran.queued_s, ran.first_start_s, ran.last_start_s, ran.end_s) == (0, 0, 0, 1)
    assert (ran.largest_batch, ran.padded_tokens) == (1, 8)


async def test_what_piles_up_while_busy_becomes_one_batch() -> None:
    """Ten callers that arrive during a run share the next one, and each gets its own answer."""
    engine, version = dispatcher(), reader()
    first = asyncio.create_task(engine.run((version,), windows(0)))
    await asyncio.sleep(0.1)
    others = [asyncio.create_task(engine.run((version,), windows(value))) for value in range(1, 11)]
    assert values(await first) == [0]
    assert [values(await task) for task in others] == [[value] for value in range(1, 11)]
    assert [(await task).largest_batch for task in others] == [10] * 10
    assert [len(batch) for batch in version.lane.batches] == [1, 10]


async def test_timing_tells_queue_and_run_apart() -> None:
    """A caller that waits 0.9 s for a runner and 1 s for its run is told so."""
    engine, version = dispatcher(), reader()
    busy = asyncio.create_task(engine.run((version,), windows(0)))
    await asyncio.sleep(0.1)
    ran = await engine.run((version,), windows(1))
    assert (ran.queued_s, ran.first_start_s, ran.end_s) == pytest.approx((0.1, 1, 2))
    await busy


async def test_a_call_of_several_batches_is_told_of_all_of_them() -> None:
    """70 windows of 8 tokens in batches of at most 32, one after another: when the first began and the last, and the largest."""
    ran = await dispatcher().run((reader(),), windows(*range(70)))
    assert values(ran) == list(range(70))
    assert (ran.first_start_s, ran.last_start_s, ran.end_s) == (0, 2, 3)
    assert (ran.largest_batch, ran.padded_tokens) == (32, 560)


async def test_versions_on_one_lane_share_batches_and_have_their_own_answers() -> None:
    """Windows for ten heads of one encoder, of several models, run as one batch; each call gets its own head's logits."""
    lane = Lane()
    engine, heads = (
        dispatcher(),
        [Reader(lane, VersionName(f"model{n % 3}", n), factor=n) for n in range(1, 11)],
    )
    busy = asyncio.create_task(engine.run((heads[0],), windows(0)))
    await asyncio.sleep(0)
    calls = [asyncio.create_task(engine.run((head,), windows(7, 8))) for head in heads]
    assert [values(await call) for call in calls] == [[7 * n, 8 * n] for n in range(1, 11)]
    await busy
    assert [len(batch) for batch in lane.batches] == [1, 20]
    assert [head.pins for head in heads] == [0] * 10


async def test_one_call_may_ask_for_several_versions_at_once() -> None:
    """Each window is run once, and its logits of every version come in the order of the versions."""
    lane = Lane()
    one, two = Reader(lane, VersionName("banking", 7)), Reader(lane, VersionName("support", 1), factor=10)
    ran = await dispatcher().run((two, one), windows(1, 2))
    assert (values(ran, 0), values(ran, 1)) == ([10, 20], [1, 2])
    assert lane.batches == [[1, 2]]
    assert (one.pins, two.pins) == (0, 0)


async def test_lanes_do_not_mix() -> None:
    """Windows of two lanes that wait together run apart."""
    engine, one, two = dispatcher(), reader(), reader()
    calls = [
        asyncio.create_task(engine.run((version,), windows(n))) for n in range(6) for version in (one, two)
    ]
    await asyncio.gather(*calls)
    assert one.lane.batches == [[0], [1, 2, 3, 4, 5]]
    assert two.lane.batches == [[0, 1, 2, 3, 4, 5]]


async def test_interactive_calls_go_before_bulk_ones() -> None:
    """A bulk call that came first waits, and is answered."""
    engine, version = dispatcher(), reader()
    busy = asyncio.create_task(engine.run((version,), windows(0)))
    await asyncio.sleep(0)
    bulk = asyncio.create_task(engine.run((version,), windows(1, 2), is_bulk=True))
    await asyncio.sleep(0)
    interactive = asyncio.create_task(engine.run((version,), windows(3)))
    assert (await interactive).end_s == 2
    assert values(await bulk) == [1, 2]
    await busy
    assert version.lane.batches == [[0], [3], [1, 2]]


async def test_runners_work_side_by_side(looptime: Any) -> None:
    """Two runners take one call's two windows at the same time."""
    ran = await dispatcher(runner_count=2).run((reader(),), windows(1, 2))
    assert values(ran) == [1, 2]
    assert looptime == 1.0


@pytest.mark.parametrize("other", ["banking", "support"])
async def test_lanes_take_turns(other: str) -> None:
    """A lane with many windows does not keep another lane's older window waiting, be it of the same model or another."""
    engine, many, one = dispatcher(), reader(), reader(other)
    tasks = [asyncio.create_task(engine.run((many,), windows(0)))]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(engine.run((one,), windows(1))))
    tasks += [asyncio.create_task(engine.run((many,), windows(*range(2, 90)))) for _ in range(3)]
    await tasks[1]
    assert len(many.lane.batches) == 1
    await asyncio.gather(*tasks)


async def test_a_poisoned_window_fails_alone() -> None:
    """The run of a batch raises: only the guilty window gets an incident, which the log knows; its batch-mates their answers."""
    engine, version = dispatcher(), reader(poison=13)
    with capture_logs() as logs:
        busy = asyncio.create_task(engine.run((version,), windows(0)))
        await asyncio.sleep(0)
        good = asyncio.create_task(engine.run((version,), windows(1, 2, 3)))
        mixed = asyncio.create_task(engine.run((version,), windows(4, 13, 5)))
        assert values(await good) == [1, 2, 3]
        assert values(await mixed) == pytest.approx([4, math.nan, 5], nan_ok=True)
        await busy
    incident = (await mixed).outcomes[1]
    assert isinstance(incident, Incident)
    (told,) = [each for each in logs if each["event"] == "model_run_failed"]
    assert (told["incident"], told["model_version"]) == (incident.id, "banking@7")
    assert (told["failed_windows"], told["batch_windows"]) == (1, 6)
    assert version.pins == 0


async def test_a_runner_that_breaks_beyond_every_exception_answers_and_comes_back() -> None:
    """Even what is no Exception in a runner hangs nobody and loses no runner."""

    class Breaking(VirtualRunners):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            job: Future[Any] = Future()
            asyncio.get_running_loop().call_later(1, lambda: job.set_exception(SystemExit(1)))
            return job

    engine, version = dispatcher(runners=Breaking()), reader()
    for _ in range(2):
        assert values(await engine.run((version,), windows(1))) == pytest.approx([math.nan], nan_ok=True)
    assert version.pins == 0


@pytest.mark.parametrize(
    ("cost", "sizes"), [(per_run(1000.0), [32, 8]), (per_token(1.0), [1] * 40)], ids=["filling", "single"]
)
async def test_batches_are_as_large_as_the_lanes_costs_ask_for(cost: CostGrid, sizes: list[int]) -> None:
    """Where a run costs the same whatever is in it, the budget is filled; where company gains nothing, windows run alone."""
    version = reader(cost=cost)
    ran = await dispatcher().run((version,), windows(*range(40)))
    assert values(ran) == list(range(40))
    assert [len(batch) for batch in version.lane.batches] == sizes


async def test_padding_is_counted() -> None:
    """A batch's tokens, and what it computes for them: a window of 7 beside one of 8 is padded."""
    engine, version = dispatcher(), reader(model="padded")
    busy = asyncio.create_task(engine.run((version,), windows(0)))
    await asyncio.sleep(0.1)
    mixed = [FakeWindow(1, token_count=7), FakeWindow(2)]
    assert (await engine.run((version,), mixed)).padded_tokens == 16  # type: ignore[arg-type]
    await busy

    def counted(metric: Counter) -> float:
        return metric.labels("padded")._value.get()

    assert (counted(metrics.BATCH_TOKENS), counted(metrics.PADDED_TOKENS)) == (8 + 15, 8 + 16)


async def test_a_full_batch_is_handed_over_ahead() -> None:
    """Where one may wait behind the runner, it begins with it the moment it is free, and is told of its true start; what does not
    fill a batch goes on waiting, and goes on growing.
    """
    engine, version = dispatcher(most_ahead=1), reader()
    first = asyncio.create_task(engine.run([version], windows(0)))
    await asyncio.sleep(0.1)
    full = asyncio.create_task(engine.run([version], windows(*range(1, 33))))
    await asyncio.sleep(0.1)
    later = [asyncio.create_task(engine.run([version], windows(value))) for value in (33, 34)]
    ran = await full
    assert (ran.first_start_s, ran.end_s) == pytest.approx((1.0, 2.0))
    assert values(await first) == [0]
    assert [values(await each) for each in later] == [[33], [34]]
    assert [len(batch) for batch in version.lane.batches] == [1, 32, 2]
    assert version.pins == 0
    assert engine.is_idle


async def test_only_the_readers_of_a_failed_window_are_suspects() -> None:
    """Not those whose windows shared its batch; when all fail, all are."""
    suspects: list[Reader] = []
    engine, lane = dispatcher(), Lane(poison=3)
    engine.on_fault = suspects.append
    topics, moods, tones = (Reader(lane, VersionName(name, 1)) for name in ("topics", "moods", "tones"))
    busy = asyncio.create_task(engine.run((topics,), windows(0)))
    await asyncio.sleep(0)
    bad = engine.run((moods, tones), windows(3))
    await asyncio.gather(busy, engine.run((topics,), windows(1, 2)), bad)
    assert len(lane.batches) > 2
    assert suspects == [moods, tones]


async def test_the_longest_run_is_told_while_it_lasts() -> None:
    """Of two runs the one that began first, until it ends; nothing of those that wait."""
    engine, version = dispatcher(runners=VirtualRunners(10.0, threads=2), runner_count=2), reader()
    assert engine.longest_run_s == 0.0
    runs = []
    for value in range(3):
        runs.append(asyncio.create_task(engine.run((version,), windows(value))))
        await asyncio.sleep(2.0)
    assert engine.longest_run_s == pytest.approx(6.0)
    await runs[0]
    assert engine.longest_run_s == pytest.approx(8.0)
    await asyncio.gather(*runs)
    assert engine.longest_run_s == 0.0
