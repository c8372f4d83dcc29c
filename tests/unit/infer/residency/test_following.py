"""The store is followed, and its troubles harm nothing that answers."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from shared.errors import (
    StoreUnavailableError,
)
from shared.names import VersionName
from tests.unit.infer.residency.world import LOAD_S, Sorting, VirtualThreads, World

pytestmark = pytest.mark.looptime


async def test_a_store_outage_leaves_what_answers_alone(tmp_path: Path) -> None:
    """Known references answer on; unknown ones get STORE_UNAVAILABLE, not NOT_FOUND; afterwards the aliases are followed again."""
    world = World(tmp_path, "banking")
    first = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        world.objects.away = True
        await asyncio.sleep(600)
        assert await world.answering("banking") == first
        with pytest.raises(StoreUnavailableError):
            await world.answering("banking@1000")
        world.objects.away = False
        second = world.publish(alias="production")
        await asyncio.sleep(2.1 + LOAD_S)
        assert await world.answering("banking") == second


async def test_one_model_that_cannot_be_read_does_not_stop_the_following_of_others(tmp_path: Path) -> None:
    """Even an unforeseen fault of one model's records is that model's alone."""
    world = World(tmp_path, "aaa", "banking")
    world.publish(alias="production")
    read = world.models.aliases

    def aliases(model: str) -> Any:
        if model == "aaa":
            raise RuntimeError("unforeseen")
        return read(model)

    world.models.aliases = aliases  # type: ignore[method-assign]
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        assert await world.answering("banking") == VersionName("banking", 1)


async def test_one_model_whose_records_hang_stops_nobody_else(tmp_path: Path) -> None:
    """Another model's promotion arrives as ever, idle versions go, one warning is given, and the stuck model is not asked about
    again until its question ends; then it is followed again.
    """
    world = World(tmp_path, "aaa", "banking")
    version = world.publish(alias="production")
    stuck = VirtualThreads(4000)
    world.follower._threads = Sorting(world.asking, stuck, "aaa")
    async with world:
        with capture_logs() as logs:
            await asyncio.sleep(LOAD_S + 0.1)
            assert await world.answering("banking") == version
            promoted = world.publish(alias="production")
            await asyncio.sleep(LOAD_S + 2.1)
            assert await world.answering("banking") == promoted
            await world.loaded("banking@1")
            await asyncio.sleep(950)
            assert world.states() == {"banking@2": "ACTIVE"}
        warnings = [each for each in logs if each["event"] == "aliases_unreadable"]
        assert [(each["model"], each["reason"]) for each in warnings] == [("aaa", "STORE_UNAVAILABLE")]
        assert stuck.submitted == 1
        world.publish("aaa", alias="production")
        await asyncio.sleep(3100)
        assert await world.answering("aaa") == VersionName("aaa", 1)
