"""A new version takes over from the one that answers, or does not."""

import asyncio
from pathlib import Path

import pytest

from services.infer.residency.lifecycle import State
from shared.errors import (
    ArtifactCorruptError,
    ModelNotLoadableError,
)
from shared.names import AliasName, ModelReference
from tests.unit.infer.residency.world import LOAD_S, VirtualThreads, World

pytestmark = pytest.mark.looptime


async def test_a_new_version_takes_over_when_it_is_warm(tmp_path: Path) -> None:
    """While it loads the version before answers; a call in flight keeps that one in memory to its end."""
    world = World(tmp_path, "banking")
    first = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        second = world.publish(alias="production")
        await asyncio.sleep(2.1)
        assert world.states() == {"banking@1": "ACTIVE", "banking@2": "LOADING"}
        async with world.held(AliasName("banking", "production")) as held:
            assert held.version == first
            await asyncio.sleep(LOAD_S + 0.1)
            assert await world.answering("banking") == second
            assert world.states() == {"banking@1": "DRAINING", "banking@2": "ACTIVE"}
            assert world.loader.closed == []
        assert world.states() == {"banking@2": "ACTIVE"}
        await asyncio.sleep(LOAD_S + 0.1)
        assert world.loader.closed == [first]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ArtifactCorruptError("bad blob", key="k"), "ARTIFACT_CORRUPT"),
        (ModelNotLoadableError("schema 9", cause="schema"), "MODEL_NOT_LOADABLE"),
        (MemoryError(), "MODEL_NOT_LOADABLE"),
        (KeyError("a bug"), "MODEL_NOT_LOADABLE"),
    ],
)
async def test_g7_a_bad_new_version_never_takes_the_serving_one_down(
    tmp_path: Path, fault: Exception, reason: str
) -> None:
    """The alias goes on answering with the version before, the server stays ready, the failure shows, and the load is retried
    with back-off until it succeeds.
    """
    world = World(tmp_path, "banking")
    first = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        second = world.publish()
        world.loader.faults[second] = fault
        world.point(second)
        for _ in range(60):
            await asyncio.sleep(1)
            assert await world.answering("banking") == first
            assert world.residency.required_answer
        failed = world.residency.resident(second)
        assert failed.state is State.FAILED
        assert failed.error is not None
        assert failed.error.reason == reason
        assert world.residency.aliases_of(second) == ["production"]
        assert 3 <= world.loader.loads.count(second) <= 6  # in a minute
        del world.loader.faults[second]
        await asyncio.sleep(120)
        assert await world.answering("banking") == second
        assert world.states() == {"banking@2": "ACTIVE"}


async def test_what_is_to_take_over_is_told_from_the_move_to_the_end(tmp_path: Path) -> None:
    """Nothing before this server has seen the move; then the new version, on its way, refused with the reason also while it is tried
    again, and gone when it answers.
    """
    world, production = World(tmp_path, "banking"), AliasName("banking", "production")
    first = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        second = world.publish()
        world.loader.faults[second] = ModelNotLoadableError("golden", cause="golden")
        world.point(second)
        assert world.residency.successor(production) is None
        heard: list[tuple[str, str, int]] = []
        for _ in range(60):
            await asyncio.sleep(1)
            assert world.residency.resident(production).version == first
            successor = world.residency.successor(production)
            if successor is not None:
                assert successor.version == second
                reason = successor.error.reason if successor.error else ""
                heard.append((successor.state.name, reason, successor.failures))
        refused = "MODEL_NOT_LOADABLE"
        assert list(dict.fromkeys(heard))[:4] == [
            ("LOADING", "", 0),
            ("FAILED", refused, 1),
            ("LOADING", refused, 1),
            ("FAILED", refused, 2),
        ]
        del world.loader.faults[second]
        await asyncio.sleep(120)
        assert world.residency.successor(production) is None
        answering = world.residency.resident(production)
        assert (answering.version, answering.error, answering.failures) == (second, None, 0)


async def test_moving_the_alias_back_forgets_the_bad_version(tmp_path: Path) -> None:
    """A rollback ends the retries, too."""
    world = World(tmp_path, "banking")
    first = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        second = world.publish()
        world.loader.faults[second] = ModelNotLoadableError("bad", cause="c")
        world.point(second)
        await asyncio.sleep(LOAD_S + 3)
        world.point(first)
        await asyncio.sleep(2.1)
        assert world.states() == {"banking@1": "ACTIVE"}


async def test_thread_work_keeps_the_version_after_its_caller_has_left(tmp_path: Path) -> None:
    """A cancelled caller's thread still has its model; the version goes when the thread has ended."""
    world = World(tmp_path, "banking")
    first = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)

        async def call() -> None:
            reference: ModelReference = AliasName("banking", "production")
            async with world.held(reference) as loaded:
                await loaded.in_thread(VirtualThreads(100), lambda: None)

        caller = asyncio.create_task(call())
        await asyncio.sleep(1)
        caller.cancel()
        second = world.publish(alias="production")
        await asyncio.sleep(2.1 + LOAD_S)
        assert await world.answering("banking") == second
        assert world.states() == {"banking@1": "DRAINING", "banking@2": "ACTIVE"}
        await asyncio.sleep(100)
        assert world.states() == {"banking@2": "ACTIVE"}
        assert world.loader.closed == [first]
