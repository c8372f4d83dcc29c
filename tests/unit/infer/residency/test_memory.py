"""Versions under a budget of memory."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from services.infer.residency.footprint import footprint, total_bytes
from services.infer.residency.routes import STAY_S
from shared.errors import ModelNotLoadableError, TagsmithError
from shared.names import parse_reference
from shared.runtime.execution import OPENVINO, Execution
from tests.tiny import tiny_manifest
from tests.unit.infer.residency.world import LOAD_S, World

pytestmark = pytest.mark.looptime


def test_what_versions_share_counts_once(tmp_path: Path) -> None:
    """Two heads on one encoder take the encoder and the tokenizer once; an estimate is never less than the files."""
    one, files = tiny_manifest(tmp_path / "one", "classification", frozen=True)
    two, _ = tiny_manifest(tmp_path / "two", "classification", ("a", "b"), frozen=True)
    first, second = footprint(one, Execution()), footprint(two, Execution())
    assert len(first.keys() & second.keys()) == 2
    assert total_bytes([first, second]) < total_bytes([first]) + total_bytes([second])
    assert total_bytes([first]) > sum(path.stat().st_size for path in files.values())
    assert total_bytes([footprint(one, Execution("bf16", OPENVINO))]) > total_bytes([first])


async def test_the_least_recently_called_makes_room(tmp_path: Path) -> None:
    """A third version of 40 bytes under a budget of 100 costs the one that was not called for longest its place."""
    async with World(tmp_path, memory_budget_bytes=100) as world:
        versions = {name: world.publish(name, alias="production") for name in ("a", "b", "c")}
        world.loader.sizes_bytes = dict.fromkeys(versions.values(), 40)
        await world.loaded("a")
        await world.loaded("b")
        await asyncio.sleep(STAY_S)
        await world.answering("a")
        await world.loaded("c")
        assert world.states() == {"a@1": "ACTIVE", "c@1": "ACTIVE"}
        assert world.loader.closed == [versions["b"]]


async def test_what_is_in_use_is_not_evicted(tmp_path: Path) -> None:
    """A version with a call in flight stays, and the one that does not fit beside it says why."""
    async with World(tmp_path, memory_budget_bytes=100) as world:
        versions = {name: world.publish(name, alias="production") for name in ("a", "b")}
        world.loader.sizes_bytes = dict.fromkeys(versions.values(), 60)
        await world.loaded("a")
        async with world.held(parse_reference("a")):
            with pytest.raises(ModelNotLoadableError, match="120 bytes, the budget is 100"):
                await world.loaded("b")
            assert world.states() == {"a@1": "ACTIVE", "b@1": "FAILED"}
        assert world.loader.loads == [versions["a"]]


async def test_a_new_version_that_does_not_fit_leaves_the_old_one_serving(tmp_path: Path) -> None:
    """A required alias moves to a version too large: the version before answers on."""
    async with World(tmp_path, "banking", memory_budget_bytes=100) as world:
        first = world.publish(alias="production")
        second = world.publish()
        world.loader.sizes_bytes = {first: 60, second: 60}
        await asyncio.sleep(LOAD_S + 3)
        world.point(second)
        await asyncio.sleep(LOAD_S + 3)
        assert await world.answering("banking") == first
        assert world.loader.loads == [first]


@pytest.mark.parametrize("limits", [{"memory_budget_bytes": 100}, {"on_demand_limit": 1}])
async def test_models_that_do_not_fit_side_by_side_all_get_answered(
    tmp_path: Path, limits: dict[str, int]
) -> None:
    """Two callers, each calling its own model again and again: neither pushes out the other's before it has answered."""
    async with World(tmp_path, **limits) as world:
        versions = {name: world.publish(name, alias="production") for name in ("a", "b")}
        world.loader.sizes_bytes = dict.fromkeys(versions.values(), 60)
        answered = dict.fromkeys(versions, 0)
        for _ in range(3000):
            for name in versions:
                with suppress(TagsmithError):
                    answered[name] += await world.answering(name) == versions[name]
            await asyncio.sleep(0.1)
        assert min(answered.values()) > 100


async def test_freed_memory_is_given_back_after_a_load_and_after_an_unload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading frees as well: what files were read into."""
    given_back: list[int] = []
    monkeypatch.setattr(
        "services.infer.residency.residency.give_back", lambda: given_back.append(len(world.loader.closed))
    )
    async with World(tmp_path, on_demand_limit=1) as world:
        for name in ("a", "b"):
            world.publish(name, alias="production")
        await world.loaded("a")
        assert given_back == [0]
        await asyncio.sleep(STAY_S)
        await world.loaded("b")
        assert world.states() == {"b@1": "ACTIVE"}
        assert given_back == [0, 1, 1]
