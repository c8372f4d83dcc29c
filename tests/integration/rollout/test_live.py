"""Three real servers over one store, called all the time, while a job's new version goes live or does not."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from services.train.rollout.deciding import Verdict
from services.train.rollout.outcomes import ROLLBACK_REASON, Failed, Live, Outcome, Superseded
from services.train.rollout.resolving import Resolved
from services.train.rollout.rollout import Rollout
from services.train.rollout.target import Target, parse_target
from shared.names import VersionName
from shared.store.layout import manifest as manifest_key
from shared.store.records import seal
from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.integration.infer_service.running import as_process, connected
from tests.integration.infer_service.shelf import Shelf
from tests.integration.rollout.fleet import Mirror, Server, fleet

JOB, NEXT_JOB = "job-0123456789abcdef", "job-fedcba9876543210"
HEAVY_ROWS = 50_000  # 2.4 MB
BUDGET_BYTES = 2_000_000  # too little for it, enough for a light one


@pytest.fixture
def threads() -> Iterator[Executor]:
    """For the store."""
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """One light version, in production."""
    shelf = Shelf(tmp_path)
    shelf.good("support", "classification")
    return shelf


OLD, NEW, LAST = (VersionName("support", number) for number in (1, 2, 3))
SEEDS = {str(OLD): 0, str(NEW): 1, str(LAST): 2}


def promote(shelf: Shelf, version: VersionName, actor: str = JOB) -> None:
    """As a job, or somebody, does."""
    shelf.models.set_alias(
        "support", "production", version.number, expected=None, actor=actor, reason="promoted"
    )


def moves(shelf: Shelf) -> list[tuple[int, str]]:
    """The alias's history from the second record on, oldest first."""
    history = shelf.models.alias_history("support", "production")[::-1]
    return [(record.version, record.actor) for record in history[1:]]


def target_of(servers: list[Server]) -> Target:
    """All servers, as a caller would name them."""
    return parse_target(",".join(server.address for server in servers))


async def followed(
    rollout: Rollout, version: VersionName, target: Target, *, patience_s: float = 60, job_id: str = JOB
) -> Outcome:
    """Follow to the end."""
    return await rollout.follow(version, "production", target, job_id=job_id, patience_s=patience_s)


def healthy(servers: list[Server]) -> None:
    """No call has failed, and there were some."""
    assert [server.failures for server in servers] == [[] for _ in servers]
    assert all(server.calls > 20 for server in servers)


async def test_a_version_goes_live_on_three_servers_and_is_superseded_by_the_next(
    tmp_path: Path, shelf: Shelf, threads: Executor
) -> None:
    """Live means that callers of all three are answered by it. A rollout that still waits, for a fourth address where nobody is, ends when
    somebody promotes another version, which is left alone.
    """
    new = shelf.good("support", "classification", seed=1, alias=None)
    last = shelf.good("support", "classification", seed=2, alias=None)
    assert (new, last) == (NEW, LAST)
    rollout = Rollout(shelf.models, threads, look_interval_s=0.1)
    async with fleet(shelf.folder, tmp_path, "support", SEEDS, {}, {}, {}) as servers:
        promote(shelf, new)
        live = await followed(rollout, new, target_of(servers))
        assert isinstance(live, Live)
        assert live.addresses == tuple(server.address for server in servers)
        assert live.golden_examples == 2
        assert 0 < live.seconds < 60
        for server in servers:
            await server.until_answers(new, within_s=2)
            assert server.answered == [str(OLD), str(NEW)]

        promote(shelf, OLD, "ops")
        promote(shelf, new, NEXT_JOB)
        target = parse_target(f"{target_of(servers)},127.0.0.1:1")
        following = asyncio.create_task(followed(rollout, new, target, job_id=NEXT_JOB))
        await asyncio.sleep(1)
        assert not following.done()
        promote(shelf, last, "ops")
        assert await following == Superseded(new, last)
        for server in servers:
            await server.until_answers(last)
        assert moves(shelf) == [(2, JOB), (1, "ops"), (2, NEXT_JOB), (3, "ops")]
        healthy(servers)


async def rolled_back(
    rollout: Rollout, shelf: Shelf, servers: list[Server], guilty: Server, *, patience_s: float = 60
) -> Failed:
    """Follow the new version to its end, which must be back at the old one because of one server, once and for all."""
    promote(shelf, NEW)
    failed = await followed(rollout, NEW, target_of(servers), patience_s=patience_s)
    assert isinstance(failed, Failed)
    assert failed.back_to == OLD
    assert [problem.field for problem in failed.problems] == [guilty.address]
    assert moves(shelf) == [(2, JOB), (1, JOB)]
    assert guilty.address in shelf.models.alias("support", "production").reason
    again = await followed(rollout, NEW, target_of(servers))
    assert isinstance(again, Failed)
    assert again.back_to == OLD
    assert moves(shelf) == [(2, JOB), (1, JOB)]
    return failed


async def test_one_server_without_the_memory_moves_the_alias_back(
    tmp_path: Path, shelf: Shelf, threads: Executor
) -> None:
    """The new version is live at two servers already; the third's budget does not hold it beside the one that answers. The reason and the
    place are told, the old version answers on all three, and no call has failed.
    """
    assert shelf.heavy("support", seed=1, rows=HEAVY_ROWS) == NEW
    rollout = Rollout(shelf.models, threads, look_interval_s=0.1)
    differences: list[dict[str, Any]] = [{}, {}, {"memory_budget_bytes": BUDGET_BYTES}]
    async with fleet(shelf.folder, tmp_path, "support", SEEDS, *differences) as servers:
        failed = await rolled_back(rollout, shelf, servers, servers[2])
        assert "refused support@2, 4 times (MODEL_NOT_LOADABLE)" in failed.problems[0].description
        assert f"the budget is {BUDGET_BYTES}" in failed.problems[0].description
        for server in servers[:2]:
            await server.until_answers(OLD)
            assert server.answered == [str(OLD), str(NEW), str(OLD)]
        assert servers[2].answered == [str(OLD)]
        healthy(servers)


async def test_one_server_whose_golden_examples_are_wrong_moves_the_alias_back(
    tmp_path: Path, shelf: Shelf, threads: Executor
) -> None:
    """The third server reads a mirror of the store, where another manifest stands under the new version's number: the files there do not
    answer as it says. That server refuses what the two others serve.
    """
    mirror = Mirror(shelf.folder, tmp_path / "mirror" / "store")
    wrong = shelf.models.manifest(shelf.good("support", "classification", seed=1, alias=None))
    example = wrong.golden_examples[0]
    other = next(label for label in wrong.labels if label != example.label)
    wrong = wrong.model_copy(
        update={"golden_examples": (example.model_copy(update={"label": other}), *wrong.golden_examples[1:])}
    )
    mirror.write(manifest_key(NEW), seal(wrong.model_dump_json().encode()))
    mirror.sync()

    rollout = Rollout(shelf.models, threads, look_interval_s=0.1)
    differences: list[dict[str, Any]] = [{}, {}, {"store": mirror.folder}]
    async with fleet(shelf.folder, tmp_path, "support", SEEDS, *differences) as servers:
        mirroring = asyncio.create_task(mirror.follow())
        failed = await rolled_back(rollout, shelf, servers, servers[2])
        description = failed.problems[0].description
        assert "refused support@2, 2 times (MODEL_NOT_LOADABLE)" in description
        assert "it answers golden example 0 otherwise than its manifest says" in description
        assert example.text not in shelf.models.alias("support", "production").reason
        for server in servers:
            await server.until_answers(OLD)
        assert servers[2].answered == [str(OLD)]
        assert servers[0].answered == [str(OLD), str(NEW), str(OLD)]
        healthy(servers)
        mirroring.cancel()
        with suppress(asyncio.CancelledError):
            await mirroring


async def test_a_version_that_is_wrong_everywhere_is_told_of_every_server(
    tmp_path: Path, shelf: Shelf, threads: Executor
) -> None:
    """A version that answers its golden examples wrong never answers a caller."""
    assert shelf.wrong_golden("support") == NEW
    rollout = Rollout(shelf.models, threads, look_interval_s=0.1)
    async with fleet(shelf.folder, tmp_path, "support", SEEDS, {}, {}, {}) as servers:
        promote(shelf, NEW)
        failed = await followed(rollout, NEW, target_of(servers))
        assert isinstance(failed, Failed)
        assert failed.back_to == OLD
        assert {problem.field for problem in failed.problems} <= {server.address for server in servers}
        assert shelf.models.alias("support", "production").reason.startswith(ROLLBACK_REASON)
        await asyncio.sleep(0.5)
        assert [server.answered for server in servers] == [[str(OLD)]] * 3
        healthy(servers)


async def test_a_server_that_nobody_has_called_loads_the_version_for_the_rollout(
    tmp_path: Path, shelf: Shelf, threads: Executor
) -> None:
    """It requires no model, so that its first caller would wait: the rollout's looks are that caller."""
    with as_process(shelf.folder, tmp_path / "cache", allow_empty=True) as process:
        await asyncio.to_thread(process.event, "ready")
        assert shelf.good("support", "classification", seed=1, alias=None) == NEW
        promote(shelf, NEW)
        target = parse_target(f"127.0.0.1:{process.port}")
        live = await followed(Rollout(shelf.models, threads, look_interval_s=0.1), NEW, target)
        assert isinstance(live, Live)
        async with connected(process.port) as client:
            request = pb.ClassifyRequest(model="support", texts=["my card"])
            assert (await client.stub.Classify(request, timeout=5)).model_version == str(NEW)


async def test_a_server_that_is_killed_amid_it_is_waited_for_while_the_target_names_it(
    tmp_path: Path, shelf: Shelf, threads: Executor
) -> None:
    """The third server is late to look at the store and is killed before it has: the rollout ends with patience, at the version before.
    The next one goes live as soon as the target's name does not stand for that server any more.
    """
    assert shelf.good("support", "classification", seed=1, alias=None) == NEW
    assert shelf.good("support", "classification", seed=2, alias=None) == LAST
    rollout = Rollout(shelf.models, threads, look_interval_s=0.1)
    differences: list[dict[str, Any]] = [{}, {}, {"poll_interval_ms": 3_600_000}]
    async with fleet(shelf.folder, tmp_path, "support", SEEDS, *differences) as servers:
        *staying, leaving = servers
        following = asyncio.create_task(rolled_back(rollout, shelf, servers, leaving, patience_s=10))
        for server in staying:
            await server.until_answers(NEW)
        await asyncio.sleep(0.5)
        assert not following.done()
        assert leaving.failures == []
        leaving.process.process.kill()
        failed = await following
        assert failed.why == "2 of 3 addresses answered with it after 10 s."
        assert "cannot be reached" in failed.problems[0].description
        for server in staying:
            await server.until_answers(OLD)

        names = [server.address for server in servers]
        heard: list[Verdict] = []

        async def resolve(_: Target) -> Resolved:
            return Resolved(tuple(names))

        promote(shelf, LAST, NEXT_JOB)
        following_last = asyncio.create_task(
            Rollout(shelf.models, threads, resolve=resolve, look_interval_s=0.1).follow(
                LAST,
                "production",
                parse_target("dns:///infer.example:50051"),
                job_id=NEXT_JOB,
                patience_s=60,
                on_progress=heard.append,
            )
        )
        for server in staying:
            await server.until_answers(LAST)
        await asyncio.sleep(0.5)
        assert (heard[-1].state, heard[-1].live) == ("WAITING", 2)
        assert [problem.field for problem in heard[-1].problems] == [leaving.address]
        names.remove(leaving.address)
        live = await following_last
        assert isinstance(live, Live)
        assert live.addresses == tuple(server.address for server in staying)
        healthy(staying)
