"""What probes make of what they find, on a virtual clock."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest

from services.infer.probing import HANGING_S, PROBES_TO_GIVE_UP, AcceleratorBrokenError, Prober
from shared.names import VersionName

pytestmark = pytest.mark.looptime

PROBE_S = 0.25
IDLE_S = 60.0


class Version:
    """In memory until it is unloaded, which its pins put off; fails its probes as often as it is told to."""

    def __init__(self, model: str, failures: float = 0) -> None:
        self.version = VersionName(model, 1)
        self.model = SimpleNamespace(probe=self._probe)
        self.failures = failures
        self.probed_s: list[float] = []
        self.pins = 0
        self.is_wanted = True
        self.is_failing_probes = False
        self.probe_s = PROBE_S

    def pin(self) -> None:
        self.pins += 1

    def unpin(self) -> None:
        self.pins -= 1

    async def in_thread(self, _: object, work: Callable[[], None]) -> None:
        self.pin()
        try:
            await asyncio.sleep(self.probe_s)
            work()
        finally:
            self.unpin()

    def _probe(self) -> None:
        if not self.is_wanted and self.pins == 1:  # the pin of the probe alone
            raise RuntimeError(f"{self.version} is closed")
        self.probed_s.append(asyncio.get_running_loop().time())
        if len(self.probed_s) <= self.failures:
            raise RuntimeError("CUDA error 719")


class World:
    """A prober, and what it looks at."""

    def __init__(self, *versions: Version) -> None:
        self.residency = SimpleNamespace(
            residents=[SimpleNamespace(version=each.version, loaded=each) for each in versions]
        )
        self.dispatcher = SimpleNamespace(is_idle=True, longest_run_s=0.0)
        self.told: list[tuple[float, bool]] = []
        self.prober = Prober(
            self.residency,  # type: ignore[arg-type]
            self.dispatcher,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            idle_interval_s=IDLE_S,
            on_change=lambda: self.told.append((asyncio.get_running_loop().time(), self.prober.healthy)),
        )

    @contextmanager
    def running(self) -> Iterator["asyncio.Task[None]"]:
        """The prober at work."""
        task = asyncio.create_task(self.prober.run())
        yield task
        task.cancel()


async def test_a_suspect_is_probed_at_once() -> None:
    """And nobody else."""
    topics, names = Version("topics"), Version("names")
    world = World(topics, names)
    with world.running():
        await asyncio.sleep(5)
        world.prober.suspect(topics.version)
        world.prober.suspect(topics.version)
        await asyncio.sleep(20)
    assert (topics.probed_s, names.probed_s) == ([5 + PROBE_S], [])
    assert world.told == []


async def test_suspects_cannot_keep_the_probe_busy() -> None:
    """A version of which every run fails for its texts is probed now and then, and others between."""
    topics, names = Version("topics"), Version("names")
    world = World(topics, names)
    with world.running():
        for number in range(1000):
            world.prober.suspect(names.version if number == 500 else topics.version)
            await asyncio.sleep(0.01)
    assert len(names.probed_s) == 1
    assert len(topics.probed_s) <= 10 / (2 * PROBE_S)


async def test_what_recovers_is_ready_again() -> None:
    """Not ready from the failed probe to the next one that passes; the version itself is told to fail as long."""
    topics = Version("topics", failures=PROBES_TO_GIVE_UP - 1)
    world = World(topics)
    with world.running() as task:
        world.prober.suspect(topics.version)
        await asyncio.sleep(PROBE_S * 1.5)
        assert topics.is_failing_probes
        await asyncio.sleep(10)
        assert not task.done()
        assert not topics.is_failing_probes
    assert [healthy for _, healthy in world.told] == [False, True]
    assert world.told[0][0] == PROBE_S
    assert len(topics.probed_s) == PROBES_TO_GIVE_UP
    assert world.prober.healthy


async def test_g8_failure_after_failure_ends_it() -> None:
    """Within seconds, with the version's name and the cause."""
    topics = Version("topics", failures=float("inf"))
    world = World(Version("names"), topics)
    with world.running() as task:
        world.prober.suspect(topics.version)
        with pytest.raises(AcceleratorBrokenError, match="topics@1") as caught:
            await task
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert asyncio.get_running_loop().time() < 3
    assert [healthy for _, healthy in world.told] == [False]


async def test_a_version_that_is_unloaded_amid_its_probes_breaks_nothing() -> None:
    """One failed probe, then a promotion: the version stays until its probes are over, and what is closed is not taken for broken."""
    topics = Version("topics", failures=1)
    world = World(topics)
    with world.running() as task:
        world.prober.suspect(topics.version)
        await asyncio.sleep(PROBE_S * 1.5)
        topics.is_wanted = False
        world.residency.residents.clear()
        await asyncio.sleep(10)
        assert not task.done()
    assert world.prober.healthy
    assert topics.pins == 0


async def test_a_suspect_that_has_gone_is_nobodys() -> None:
    """Its name leads to nothing any more."""
    topics = Version("topics")
    world = World(topics)
    world.residency.residents.clear()
    with world.running() as task:
        world.prober.suspect(topics.version)
        await asyncio.sleep(10)
        assert not task.done()
    assert topics.probed_s == []


async def test_in_idle_times_every_version_is_looked_at_in_turn() -> None:
    """One each interval, also when others come and go; none while there is work, and none where nothing is in memory."""
    versions = {name: Version(name) for name in ("a", "b", "c", "d")}
    world = World(*(versions[name] for name in ("a", "b", "d")))
    order: list[str] = []

    def take(count: int) -> Any:
        return asyncio.sleep(count * (IDLE_S + 2 * PROBE_S + 1))

    with world.running():
        world.dispatcher.is_idle = False
        await take(2)
        assert not any(each.probed_s for each in versions.values())
        world.dispatcher.is_idle = True
        await take(2)
        world.residency.residents.insert(
            2, SimpleNamespace(version=VersionName("c", 1), loaded=versions["c"])
        )
        world.residency.residents.append(SimpleNamespace(version=VersionName("e", 1), loaded=None))
        await take(4)
        world.residency.residents.clear()
        await take(2)
    times = sorted((when_s, name) for name, each in versions.items() for when_s in each.probed_s)
    order = [name for _, name in times]
    assert "".join(order).startswith("abcdab")


async def test_cancelling_ends_it() -> None:
    """At the server's stop, in whatever it is at."""
    for wait_s in (0.1, IDLE_S + 0.1, IDLE_S + PROBE_S + 0.1):
        topics = Version("topics")
        world = World(topics)
        with world.running() as task:
            await asyncio.sleep(wait_s)
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert topics.pins == 0


async def test_g8_a_run_that_hangs_ends_it() -> None:
    """It is noticed within seconds, once no run could take so long; a slow one before that is no reason."""
    world = World()
    world.dispatcher.longest_run_s = HANGING_S
    watching = asyncio.create_task(world.prober.watch())
    await asyncio.sleep(10 * IDLE_S)
    assert not watching.done()
    world.dispatcher.longest_run_s = HANGING_S + 1
    with pytest.raises(AcceleratorBrokenError, match="a run has not returned"):
        await asyncio.wait_for(watching, 11)


async def test_g8_a_probe_that_hangs_ends_it() -> None:
    """At its first time: there is no second try on a thread that is gone."""
    topics = Version("topics")
    topics.probe_s = 10 * HANGING_S
    with World(topics).running() as task:
        with pytest.raises(AcceleratorBrokenError, match="topics@1 has not returned"):
            await asyncio.wait_for(task, IDLE_S + HANGING_S + 1)
        assert topics.pins == 0
