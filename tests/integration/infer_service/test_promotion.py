"""Versions that come and go under callers: promotions, bad versions (G7), outages of the store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from shared.names import VersionName
from shared.rpc.status import read_status
from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.integration.infer_service.running import (
    Client,
    Service,
    as_process,
    connected,
    in_process,
    refusal,
)
from tests.integration.infer_service.shelf import Shelf
from tests.tiny import TOPICS, topic_label

WARM_UP, PROMOTIONS, CLIENTS = 5, 20, 16
ROWS = 50_000  # 2.4 MB a version
VERSION_BYTES = ROWS * 48 + 100_000  # with its vocabulary
GROWTH_LIMIT_BYTES = 16 * 2**20  # over 20 promotions; keeping every version would cost 48 MB and more


async def test_promotions_under_load_fail_no_call_and_keep_memory_flat(tmp_path: Path) -> None:
    """Sixteen clients call while the alias moves twenty times: no call fails, every response names its version and is that
    version's answer throughout, every version is seen, old ones are unloaded, memory stays within 16 MiB, and the
    copies on disk are those of the last versions only.
    """
    shelf = Shelf(tmp_path)
    texts = [f"my {word}" for word in TOPICS]
    versions = [shelf.heavy("topics", seed=seed, rows=ROWS) for seed in range(WARM_UP + PROMOTIONS + 1)]
    expected = {
        str(version): [topic_label(word, seed=seed) for word in TOPICS]
        for seed, version in enumerate(versions)
    }
    shelf.point(versions[0])
    seen: set[str] = set()
    ending = asyncio.Event()

    async def call_on(client: Client) -> None:
        while not ending.is_set():
            response = await client.stub.Classify(
                pb.ClassifyRequest(model="topics", texts=texts, top_k=1), timeout=20
            )
            answered = [result.classification.labels[0].label for result in response.results]
            assert answered == expected[response.model_version]
            seen.add(response.model_version)

    with as_process(shelf.folder, tmp_path / "cache", required_models="topics") as process:
        await asyncio.to_thread(process.event, "ready")
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(process.port)) for _ in range(CLIENTS)]
            async with asyncio.TaskGroup() as callers:
                for client in clients:
                    callers.create_task(call_on(client))
                for number, version in enumerate(versions[1:], start=1):
                    shelf.point(version)
                    await clients[0].until(version, "ACTIVE")
                    async with asyncio.timeout(10):
                        while str(version) not in seen:  # noqa: ASYNC110  # what clients see, no event tells
                            await asyncio.sleep(0.01)
                    if number == WARM_UP:
                        before_bytes = process.rss_bytes()
                after_bytes = process.rss_bytes()
                ending.set()
            async with asyncio.timeout(5):
                while list(await clients[0].states()) != [str(versions[-1])]:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        copies_bytes = sum(path.stat().st_size for path in (tmp_path / "cache").iterdir())
        assert copies_bytes <= 3 * VERSION_BYTES  # the last, and what still drained when it came
        assert seen == set(expected)
        assert after_bytes - before_bytes < GROWTH_LIMIT_BYTES
        assert process.stop() == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Shelf, Service, Client]]:
    """A service that loads whatever it is asked for."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    async with (
        in_process(shelf, tmp_path_factory.mktemp("cache")) as service,
        connected(service.port) as client,
    ):
        yield shelf, service, client


BAD = {
    "corrupt_blob": "ARTIFACT_CORRUPT",
    "tampered_blob": "ARTIFACT_CORRUPT",
    "missing_blob": "ARTIFACT_CORRUPT",
    "newer_schema": "MODEL_NOT_LOADABLE",
    "wrong_golden": "MODEL_NOT_LOADABLE",
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("kind", list(BAD))
async def test_g7_a_bad_new_version_never_takes_the_serving_one_down(
    world: tuple[Shelf, Service, Client], kind: str
) -> None:
    """The alias moves to a version that cannot be served: calls go on being answered by the version before, the failure and its
    reason show in ListLoadedModels and in a metric, and a later good version takes over.
    """
    shelf, service, client = world
    model = kind.replace("_", "-")
    good = shelf.good(model, "classification")
    assert (await client.classify(model, ["my card"], top_k=1)).model_version == str(good)
    bad: VersionName = getattr(shelf, kind)(model)
    shelf.force(bad)
    while (await client.states()).get(str(bad)) != "FAILED":
        assert (await client.classify(model, ["my card"], top_k=1)).model_version == str(good)
    response = await client.classify(model, ["my card"], top_k=1)
    assert response.model_version == str(good)
    assert response.results[0].classification.labels[0].label == "billing"
    listed = await client.stub.ListLoadedModels(pb.ListLoadedModelsRequest())
    failed = next(each for each in listed.loaded_models if each.model_version == str(bad))
    assert read_status(failed.error).reason == BAD[kind]
    assert list(failed.aliases) == ["production"]
    told = await client.stub.GetLoadedModel(pb.GetLoadedModelRequest(model=model))
    assert (told.model_version, told.state) == (str(good), pb.LoadedModel.ACTIVE)
    assert told.successor.model_version == str(bad)
    assert read_status(told.successor.error).reason == BAD[kind]
    assert told.successor.failed_load_count >= 1
    assert f'tagsmith_load_failures_total{{model="{model}",reason="{BAD[kind]}"}} 1.0' in service.metrics()
    assert (
        await refusal(client.stub.Classify(pb.ClassifyRequest(model=str(bad), texts=["x"])))
    ).reason == BAD[kind]
    better = shelf.good(model, "classification", seed=1, alias=None)
    shelf.force(better)
    await client.until(better, "ACTIVE")
    assert (await client.classify(model, ["my card"])).model_version == str(better)
    told = await client.stub.GetLoadedModel(pb.GetLoadedModelRequest(model=model))
    assert (told.model_version, told.HasField("successor")) == (str(better), False)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_first_call_loads_a_model_and_says_so(world: tuple[Shelf, Service, Client]) -> None:
    """UNAVAILABLE, MODEL_LOADING, with the delay after which to retry; then the answer. GetLoadedModel tells of it, but loads nothing: NOT_FOUND
    before."""
    shelf, _, client = world
    version = shelf.good("lazy", "classification", alias="canary")
    for reference in ("lazy@canary", str(version)):
        asked = await refusal(client.stub.GetLoadedModel(pb.GetLoadedModelRequest(model=reference)))
        assert asked.code == "NOT_FOUND"
    request = pb.ClassifyRequest(model="lazy@canary", texts=["card"])
    explained = await refusal(client.stub.Classify(request))
    assert (explained.code, explained.reason) == ("UNAVAILABLE", "MODEL_LOADING")
    assert explained.retry_after_ms
    assert (await client.classify("lazy@canary", ["card"])).model_version == str(version)
    loaded = await client.stub.GetLoadedModel(pb.GetLoadedModelRequest(model=str(version)))
    assert list(loaded.aliases) == ["canary"]


@pytest.mark.asyncio(loop_scope="module")
async def test_get_loaded_model_loads_what_it_is_asked_to_load(world: tuple[Shelf, Service, Client]) -> None:
    """As a first call would: MODEL_LOADING, then the version; what the store does not have is NOT_FOUND, what cannot be loaded FAILED."""
    shelf, _, client = world
    version = shelf.good("eager", "classification")
    request = pb.GetLoadedModelRequest(model="eager", load=True)
    explained = await refusal(client.stub.GetLoadedModel(request))
    assert (explained.reason, explained.metadata["model_version"]) == ("MODEL_LOADING", str(version))
    await client.until(version, "ACTIVE")
    loaded = await client.stub.GetLoadedModel(request)
    assert (loaded.model_version, loaded.golden_example_count) == (str(version), 2)
    absent = pb.GetLoadedModelRequest(model="nowhere", load=True)
    assert (await refusal(client.stub.GetLoadedModel(absent))).reason == "MODEL_NOT_FOUND"
    wrong = shelf.wrong_golden("mistaken")
    shelf.point(wrong)
    request = pb.GetLoadedModelRequest(model="mistaken", load=True)
    assert (await refusal(client.stub.GetLoadedModel(request))).reason == "MODEL_LOADING"
    await client.until(wrong, "FAILED")
    failed = await client.stub.GetLoadedModel(request)
    assert (failed.model_version, failed.state) == (str(wrong), pb.LoadedModel.FAILED)
    assert "golden example 0" in failed.error.message
    assert "my" not in failed.error.message.split()  # of the example's text


@pytest.mark.asyncio(loop_scope="module")
async def test_a_store_that_goes_away_leaves_what_answers_alone(world: tuple[Shelf, Service, Client]) -> None:
    """The folder vanishes for a while: calls are answered throughout, and when it is back its aliases are followed again."""
    shelf, _, client = world
    version = shelf.good("steady", "classification")
    assert (await client.classify("steady", ["card"])).model_version == str(version)
    away = shelf.folder.with_name("away")
    shelf.folder.rename(away)
    try:
        for _ in range(20):
            assert (await client.classify("steady", ["card"])).model_version == str(version)
            await asyncio.sleep(0.02)
    finally:
        away.rename(shelf.folder)
    after = shelf.good("steady", "classification")
    await client.until(after, "ACTIVE")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_tampered_blob_is_never_loaded_even_at_a_first_call(
    world: tuple[Shelf, Service, Client],
) -> None:
    """A valid graph under another's digest answers nobody: DATA_LOSS, with the key and both digests."""
    shelf, _, client = world
    version = shelf.tampered_blob("tampered")
    explained = await refusal(client.classify(str(version), ["card"]))
    assert (explained.code, explained.reason) == ("DATA_LOSS", "ARTIFACT_CORRUPT")
    assert {"key", "expected", "found"} <= set(explained.metadata)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_damaged_alias_holds_up_no_other(world: tuple[Shelf, Service, Client]) -> None:
    """An alias record that cannot be read stops neither the following of the model's other aliases nor what it pointed to."""
    shelf, _, client = world
    first = shelf.good("partly", "classification")
    shelf.point(first, "canary")
    for reference in ("partly", "partly@canary"):
        assert (await client.classify(reference, ["card"])).model_version == str(first)
    record = shelf.folder / "models" / "partly" / "aliases" / "canary" / "00000001.json"
    record.chmod(0o644)
    record.write_bytes(record.read_bytes()[:-9])
    second = shelf.good("partly", "classification", seed=1)
    await client.until(second, "ACTIVE")
    assert (await client.classify("partly", ["card"])).model_version == str(second)
    assert (await client.classify("partly@canary", ["card"])).model_version == str(first)
