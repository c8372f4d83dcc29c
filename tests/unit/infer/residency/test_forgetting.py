"""What leaves memory, and what looking at it does not change."""

import asyncio
from pathlib import Path

import pytest

from shared.errors import (
    AliasNotFoundError,
    ModelLoadingError,
    VersionNotFoundError,
)
from shared.names import AliasName, VersionName
from tests.unit.infer.residency.world import LOAD_S, World

pytestmark = pytest.mark.looptime


async def test_what_nobody_calls_is_unloaded_unless_it_is_required(tmp_path: Path) -> None:
    """After 900 s without a call; a call before that keeps it."""
    world = World(tmp_path, "banking")
    world.publish(alias="production")
    world.publish()
    async with world:
        assert await world.loaded("banking@2") == VersionName("banking", 2)
        await asyncio.sleep(890)
        await world.answering("banking@2")
        await asyncio.sleep(890)
        assert world.states() == {"banking@1": "ACTIVE", "banking@2": "ACTIVE"}
        await asyncio.sleep(20)
        assert world.states() == {"banking@1": "ACTIVE"}


async def test_callers_cannot_fill_the_memory(tmp_path: Path) -> None:
    """At most `on_demand_limit` references are loaded for calls; the ones called longest ago make room."""
    world = World(tmp_path, on_demand_limit=2)
    for _ in range(4):
        world.publish()
    async with world:
        for number in (1, 2, 3, 4):
            await world.loaded(f"banking@{number}")
        await asyncio.sleep(2.1)
        assert world.states() == {"banking@3": "ACTIVE", "banking@4": "ACTIVE"}


async def test_copies_are_tidied_when_nothing_waits_to_be_loaded(tmp_path: Path) -> None:
    """Once for two loads in a row, keeping what is in memory then, whether it answers or still drains."""
    world = World(tmp_path, "banking", "other")
    first, other = world.publish(alias="production"), world.publish("other", alias="production")
    async with world:
        await asyncio.sleep(LOAD_S * 4)
        assert world.loader.kept == [[first, other]]
        async with world.residency.serving(first):
            second = world.publish(alias="production")
            await asyncio.sleep(LOAD_S * 3)
        assert world.loader.kept[1:] == [[first, second, other]]


async def test_telling_what_is_in_memory_loads_nothing_and_keeps_nothing(tmp_path: Path) -> None:
    """NOT_FOUND for what no call has asked for, MODEL_LOADING while it loads; looking does not count as a call."""
    world = World(tmp_path)
    version = world.publish(alias="canary")
    canary = AliasName("banking", "canary")
    async with world:
        for reference, error in ((version, VersionNotFoundError), (canary, AliasNotFoundError)):
            with pytest.raises(error):
                world.residency.resident(reference)
        assert world.states() == {}
        with pytest.raises(ModelLoadingError):
            await world.answering("banking@canary")
        with pytest.raises(ModelLoadingError):
            world.residency.resident(canary)
        await asyncio.sleep(LOAD_S + 0.1)
        for _ in range(10):
            assert world.residency.resident(canary).version == version
            assert world.residency.resident(version).version == version
            await asyncio.sleep(85)
        await asyncio.sleep(50)
        assert world.states() == {}
