"""What is loaded when: what is required from the start, everything else at its first call, each once."""

import asyncio
from pathlib import Path

import pytest

from shared.errors import (
    AliasNotFoundError,
    ArtifactCorruptError,
    ModelLoadingError,
    ModelNotFoundError,
    TagsmithError,
    VersionNotFoundError,
    VersionRejectedError,
)
from tests.unit.infer.residency.world import LOAD_S, World

pytestmark = pytest.mark.looptime


async def test_a_required_alias_is_loaded_from_the_start(tmp_path: Path) -> None:
    """Without a call; the server is ready when it answers, not before."""
    world = World(tmp_path, "banking")
    version = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S - 0.1)
        assert not world.residency.required_answer
        await asyncio.sleep(0.2)
        assert world.residency.required_answer
        assert await world.answering("banking") == version
        assert world.residency.aliases_of(version) == ["production"]


async def test_a_required_alias_may_come_later_than_the_server(tmp_path: Path) -> None:
    """A server that starts before the first training is not ready, says NOT_FOUND and picks the model up when it is there."""
    world = World(tmp_path, "banking")
    async with world:
        await asyncio.sleep(5)
        assert not world.residency.required_answer
        with pytest.raises(ModelNotFoundError):
            await world.answering("banking")
        version = world.publish(alias="production")
        await asyncio.sleep(2.1 + LOAD_S)
        assert await world.answering("banking") == version


async def test_a_model_that_is_not_required_loads_at_its_first_call(tmp_path: Path) -> None:
    """By alias and by version alike: MODEL_LOADING with a delay to retry, then answers."""
    world = World(tmp_path)
    version = world.publish(alias="canary")
    async with world:
        with pytest.raises(ModelLoadingError) as caught:
            await world.answering("banking@canary")
        assert caught.value.retry_after_ms
        await asyncio.sleep(LOAD_S + 0.1)
        assert await world.answering("banking@canary") == version


async def test_a_concrete_version_loads_at_its_first_call(tmp_path: Path) -> None:
    """As an alias does."""
    world = World(tmp_path)
    version = world.publish()
    async with world:
        assert await world.loaded("banking@1") == version


async def test_a_version_that_an_alias_has_loaded_answers_under_its_number_at_once(tmp_path: Path) -> None:
    """One version is in memory once, whatever names lead to it."""
    world = World(tmp_path, "banking")
    version = world.publish(alias="production")
    async with world:
        await asyncio.sleep(LOAD_S + 0.1)
        assert await world.answering("banking@1") == version
        assert world.loader.loads == [version]


async def test_a_reference_called_by_many_at_once_is_loaded_once(tmp_path: Path) -> None:
    """Sixteen first callers cause one lookup and one load."""
    world = World(tmp_path)
    version = world.publish(alias="production")
    async with world:
        answers = await asyncio.gather(
            *(world.answering("banking") for _ in range(16)), return_exceptions=True
        )
        assert {type(answer) for answer in answers} == {ModelLoadingError}
        await asyncio.sleep(LOAD_S + 0.1)
        assert world.loader.loads == [version]


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("unknown", ModelNotFoundError),
        ("unknown@3", ModelNotFoundError),
        ("banking@canary", AliasNotFoundError),
        ("banking@9", VersionNotFoundError),
        ("banking@2", VersionRejectedError),
    ],
)
async def test_what_does_not_exist_is_refused_at_once_and_cheaply(
    tmp_path: Path, reference: str, error: type[TagsmithError]
) -> None:
    """Nothing is loaded for it; a burst of such calls asks the store once, and a second later it is asked anew."""
    world = World(tmp_path)
    world.publish(alias="production")
    world.publish(state="rejected")
    world.asked.clear()
    for _ in range(20):
        with pytest.raises(error):
            await world.answering(reference)
    assert len(world.asked) == 1
    assert world.states() == {}
    await asyncio.sleep(1.1)
    with pytest.raises(error):
        await world.answering(reference)
    assert len(world.asked) == 2


async def test_a_burst_of_first_calls_delays_what_is_required_by_one_load(tmp_path: Path) -> None:
    """Of twenty versions called at once only the one whose load has begun and the `on_demand_limit` called last are ever loaded,
    and a promotion of the required model goes before all that wait.
    """
    world = World(tmp_path, "banking", on_demand_limit=2)
    world.publish(alias="production")
    others = [world.publish("other") for _ in range(20)]
    async with world:
        await asyncio.sleep(LOAD_S * 3)
        for version in others:
            with pytest.raises(ModelLoadingError):
                await world.answering(str(version))
        assert world.states() == {
            "banking@1": "ACTIVE",
            "other@1": "LOADING",
            "other@19": "QUEUED",
            "other@20": "QUEUED",
        }
        promoted = world.publish(alias="production")
        await asyncio.sleep(LOAD_S * 3 + 5)
        assert await world.answering("banking") == promoted
        assert world.loader.loads[1:3] == [others[0], promoted]
        await asyncio.sleep(LOAD_S * 3)
        assert world.loader.loads[3:] == others[18:]
        assert world.states() == {"banking@2": "ACTIVE", "other@19": "ACTIVE", "other@20": "ACTIVE"}


async def test_a_version_that_cannot_be_loaded_says_why_to_its_callers(tmp_path: Path) -> None:
    """With no version before it, calls get the reason instead of waiting for ever."""
    world = World(tmp_path)
    version = world.publish()
    world.loader.faults[version] = ArtifactCorruptError("bad blob", key="k")
    async with world:
        with pytest.raises(ModelLoadingError):
            await world.answering("banking@1")
        await asyncio.sleep(LOAD_S + 0.1)
        for _ in range(3):
            with pytest.raises(ArtifactCorruptError):
                await world.answering("banking@1")
