"""A rollout from its begin to its end, on a virtual clock, with servers that say what they are told to."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.train.rollout.deciding import Verdict
from services.train.rollout.outcomes import Failed, Live, Outcome, Superseded
from services.train.rollout.resolving import Resolved
from services.train.rollout.rollout import LOOK_INTERVAL_S, Rollout
from services.train.rollout.snapshots import Refusal, Snapshot
from services.train.rollout.target import Target, parse_target
from shared.errors import StoreUnavailableError
from shared.names import AliasName, VersionName
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import publish_tiny

pytestmark = pytest.mark.looptime

V1, V2, V3 = (VersionName("support", number) for number in (1, 2, 3))
JOB = "job-0123456789abcdef"
TARGET = parse_target("dns:///infer:50051")
OLD, NEW = Snapshot("", serving=V1), Snapshot("", serving=V2, golden_examples=2)
LOADING = replace(OLD, coming=V2)
REFUSED = replace(LOADING, refusal=Refusal(V2, "MODEL_NOT_LOADABLE", "no.", failed_loads=2))


class AtOnce(Executor):
    """A thread that is there already; or one that is given work and does not come back."""

    hangs = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        job: Future[Any] = Future()
        job.set_running_or_notify_cancel()
        if not self.hangs:
            try:
                job.set_result(fn(*args, **kwargs))
            except Exception as error:  # noqa: BLE001  # a thread hands on whatever the job raised
                job.set_exception(error)
        return job


class Flaky(MemoryStore):
    """A store that can be away."""

    away = False

    def read(self, key: str) -> bytes:
        if self.away:
            raise StoreUnavailableError("away", operation="read")
        return super().read(key)


class World:
    """Three versions, the alias moved to the second by the job, and servers by address."""

    def __init__(self, scratch: Path) -> None:
        self.objects = Flaky()
        self.models = ModelStore(self.objects)
        for _ in range(3):
            publish_tiny(self.models, "support", "classification", scratch=scratch)
        self.move(V1)
        self.move(V2, JOB)
        self.threads = AtOnce()
        self.servers: dict[str, Snapshot] = {"a": OLD, "b": OLD, "c": OLD}
        self.heard: list[Verdict] = []
        self.looks = 0
        self.rollout = Rollout(self.models, self.threads, resolve=self._resolve, ask=self._ask)

    def move(self, version: VersionName, actor: str = "ops") -> None:
        self.models.set_alias("support", "production", version.number, expected=None, actor=actor, reason="r")

    @property
    def history(self) -> list[tuple[int, str]]:
        return [(each.version, each.actor) for each in self.models.alias_history("support", "production")][
            ::-1
        ]

    def follow(self, patience_s: float = 600) -> "asyncio.Task[Outcome]":
        return asyncio.create_task(
            self.rollout.follow(
                V2,
                "production",
                TARGET,
                job_id=JOB,
                patience_s=patience_s,
                on_progress=self.heard.append,
            )
        )

    async def _resolve(self, target: Target) -> Resolved:
        assert target == TARGET
        self.looks += 1
        return Resolved(tuple(self.servers), () if self.servers else (str(target),))

    async def _ask(self, addresses: Iterable[str], alias: AliasName) -> tuple[Snapshot, ...]:
        assert alias == AliasName("support", "production")
        return tuple(replace(self.servers[address], address=address) for address in addresses)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """All three servers answer with the version before."""
    return World(tmp_path)


MOVED = [(1, "ops"), (2, JOB)]


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def test_a_version_goes_live_server_by_server(world: World) -> None:
    """The end comes a look after the last one has it; progress is told when it changes and not at every look."""
    following = world.follow()
    for address in ("b", "a", "c"):
        await asyncio.sleep(10)
        world.servers[address] = LOADING
        await asyncio.sleep(10)
        world.servers[address] = NEW
    live = await following
    assert isinstance(live, Live)
    assert (live.version, live.addresses, live.golden_examples) == (V2, ("a", "b", "c"), 2)
    assert 60 <= now_s() <= 60 + LOOK_INTERVAL_S
    assert [(each.state, each.live) for each in world.heard] == [
        ("WAITING", 0),
        ("WAITING", 0),
        ("WAITING", 1),
        ("WAITING", 1),
        ("WAITING", 2),
        ("WAITING", 2),
        ("LIVE", 3),
    ]
    assert world.history == MOVED


async def test_a_refusal_moves_the_alias_back(world: World) -> None:
    """Without waiting for the others; the outcome names the address."""
    world.servers |= {"a": NEW, "c": REFUSED}
    failed = await world.follow()
    assert isinstance(failed, Failed)
    assert (failed.back_to, failed.why) == (V1, "it was refused at 1 of 3 addresses.")
    assert [problem.field for problem in failed.problems] == ["c"]
    assert now_s() == 0
    assert world.history == [*MOVED, (1, JOB)]


async def test_a_service_that_died_after_the_rollback_finds_it(world: World) -> None:
    """Whatever servers say now, and without a second one."""
    world.servers["c"] = REFUSED
    await world.follow()
    world.servers = dict.fromkeys("abc", NEW)
    looks = world.looks
    failed = await world.follow()
    assert isinstance(failed, Failed)
    assert failed.back_to == V1
    assert "c refused support@2, 2 times (MODEL_NOT_LOADABLE): no" in failed.why
    assert world.looks == looks
    assert world.history == [*MOVED, (1, JOB)]


async def test_a_service_that_died_amid_the_waiting_goes_on(world: World) -> None:
    """Cancelled, it leaves the alias alone; the next call sees it through."""
    following = world.follow()
    await asyncio.sleep(30)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert world.history == MOVED
    world.servers = dict.fromkeys("abc", NEW)
    assert isinstance(await world.follow(), Live)


async def test_patience_ends(world: World) -> None:
    """A server that cannot be reached is not live: the alias goes back."""
    world.servers = {"a": NEW, "b": NEW, "c": Snapshot("", silence="UNAVAILABLE")}
    failed = await world.follow(patience_s=100)
    assert isinstance(failed, Failed)
    assert failed.why == "2 of 3 addresses answered with it after 100 s."
    assert [problem.field for problem in failed.problems] == ["c"]
    assert 100 <= now_s() <= 100 + LOOK_INTERVAL_S
    assert world.history == [*MOVED, (1, JOB)]


async def test_an_address_that_is_gone_counts_no_longer(world: World) -> None:
    """And one that is new does."""
    world.servers = {"a": NEW, "c": Snapshot("", silence="UNAVAILABLE")}
    following = world.follow()
    await asyncio.sleep(10)
    del world.servers["c"]
    world.servers["d"] = LOADING
    await asyncio.sleep(10)
    assert not following.done()
    world.servers["d"] = NEW
    live = await following
    assert isinstance(live, Live)
    assert live.addresses == ("a", "d")


async def test_nobody_at_the_target_is_no_success(world: World) -> None:
    """Nor is it for ever waited for."""
    world.servers = {}
    failed = await world.follow()
    assert isinstance(failed, Failed)
    assert failed.why == "its inference target stood for no address for 600 s."
    assert [problem.field for problem in failed.problems] == [str(TARGET)]


async def test_somebody_elses_promotion_ends_it(world: World) -> None:
    """Also when a server refuses our version at the same time."""
    following = world.follow()
    await asyncio.sleep(10)
    world.servers["a"] = REFUSED
    world.move(V3)
    assert await following == Superseded(V2, V3)
    assert world.history == [*MOVED, (3, "ops")]


async def test_a_store_that_is_away_meanwhile_is_done_without(world: World) -> None:
    """Servers go live all the same."""
    following = world.follow()
    await asyncio.sleep(10)
    world.objects.away = True
    await asyncio.sleep(10)
    world.servers = dict.fromkeys("abc", NEW)
    assert isinstance(await following, Live)


async def test_a_store_that_hangs_holds_up_no_look(world: World) -> None:
    """One question is out, however long, and servers are looked at meanwhile."""
    following = world.follow()
    await asyncio.sleep(10)
    world.threads.hangs = True
    await asyncio.sleep(60)
    assert world.looks > 15
    world.servers = dict.fromkeys("abc", NEW)
    assert isinstance(await following, Live)


async def test_a_store_that_is_away_at_the_end_keeps_the_rollback_for_later(world: World) -> None:
    """The call fails, to be repeated; then the alias goes back."""
    following = world.follow()
    await asyncio.sleep(10)
    world.servers["a"] = REFUSED
    world.objects.away = True
    with pytest.raises(StoreUnavailableError):
        await following
    with pytest.raises(StoreUnavailableError):
        await world.follow()
    world.objects.away = False
    assert isinstance(await world.follow(), Failed)
    assert world.history == [*MOVED, (1, JOB)]
