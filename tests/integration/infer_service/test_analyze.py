"""Several models over the same texts, and heads that share an encoder, over real sockets from real ONNX sessions."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from shared.rpc.status import read_status
from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.integration.infer_service.running import Client, connected, in_process, refusal
from tests.integration.infer_service.runs import watched
from tests.integration.infer_service.shelf import Shelf
from tests.tiny import FILLERS, NAMES, SURNAMES, TOPICS

WHOLE = ("topics", "names")
HEADS = {
    "moods": ("classification", ("calm", "cross")),
    "tones": ("classification", ("low", "middle", "high", "shrill")),
    "people": ("entities", ("person", "place")),
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """Two whole models and three heads on one encoder, of both tasks each, on one runner."""
    shelf = Shelf(tmp_path_factory.mktemp("shelf"))
    shelf.good("topics", "classification")
    shelf.good("names", "entities")
    for model, (task, labels) in HEADS.items():
        shelf.frozen(model, task, labels)  # type: ignore[arg-type]
    cache = tmp_path_factory.mktemp("cache")
    async with (
        in_process(shelf, cache, *WHOLE, *HEADS, threads=1) as service,
        connected(service.port) as client,
    ):
        yield client


def _texts(seed: int, count: int = 12, longest: int = 150) -> list[str]:
    """Of one window and of several, with topics and with names, and not of ASCII alone."""
    rng = random.Random(seed)  # noqa: S311  # the same texts in every run
    words = (*TOPICS, *NAMES, *SURNAMES, *FILLERS, "é", "😀")
    return [" ".join(rng.choices(words, k=rng.choice((1, 5, 20, longest)))) for _ in range(count)]


async def _analyze(client: Client, models: Sequence[str], texts: list[str], **fields: Any) -> Any:
    request = pb.AnalyzeRequest(models=models, texts=texts, **fields)
    return (await client.stub.Analyze(request, timeout=20)).analyses


def _found(response: pb.ClassifyResponse | pb.ExtractEntitiesResponse) -> list[Any]:
    """The answers, scores to six digits."""

    def rounded(each: Any) -> Any:
        return [getattr(each, field.name) for field in each.DESCRIPTOR.fields if field.name != "score"] + [
            pytest.approx(each.score, abs=1e-6)
        ]

    if isinstance(response, pb.ClassifyResponse):
        answers = [result.classification for result in response.results]
        return [(answer.window_count, list(map(rounded, answer.labels))) for answer in answers]
    texts = [result.entities for result in response.results]
    return [(text.window_count, list(map(rounded, text.entities))) for text in texts]


async def test_each_analysis_is_what_the_models_own_call_answers(client: Client) -> None:
    """Classifiers and extractors, whole and on one encoder, mixed, one of them twice: in the order of the request, by its fields."""
    models = ["topics", "people", "moods", "names", "topics@1", "tones", "people@production"]
    texts = _texts(1)
    fields = {"top_k": 2, "min_score": 0.2, "offset_unit": pb.UTF16_CODE_UNITS}
    analyses = await _analyze(client, models, texts, **fields)
    assert len(analyses) == len(models)
    found = 0
    for model, analysis in zip(models, analyses, strict=True):
        if model.partition("@")[0] in ("names", "people"):
            extracted = await client.extract(model, texts, min_score=0.2, offset_unit=fields["offset_unit"])
            answer = analysis.extract_entities
            assert (answer.model_version, answer.offset_unit) == (
                extracted.model_version,
                pb.UTF16_CODE_UNITS,
            )
            assert _found(answer) == _found(extracted)
            found += sum(len(result.entities.entities) for result in answer.results)
        else:
            classified = await client.classify(model, texts, top_k=2, min_score=0.2)
            assert analysis.classify.model_version == classified.model_version
            assert _found(analysis.classify) == _found(classified)
    assert found > 20
    assert max(each.classification.window_count for each in analyses[0].classify.results) > 1


async def test_heads_of_one_encoder_read_the_texts_in_one_pass(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each window runs once for all three of them; of whole models once for each."""
    runs, texts = watched(monkeypatch), _texts(2)
    analyses = await _analyze(client, list(HEADS), texts)
    windows = sum(each.classification.window_count for each in analyses[0].classify.results)
    assert windows > len(texts)
    assert sum(runs.sizes) == windows
    assert all(readers == {"moods@1", "tones@1", "people@1"} for readers in runs.readers)
    tokens = analyses[0].classify.timing.token_count
    assert analyses[2].extract_entities.timing.token_count == tokens
    runs.batches.clear()
    analyses = await _analyze(client, WHOLE, texts)
    assert sum(runs.sizes) == 2 * windows
    assert sorted(map(sorted, runs.readers)) == sorted([["names@1"], ["topics@1"]] * (len(runs.sizes) // 2))
    # A model's timing tells of its own pass.
    assert analyses[0].classify.timing.token_count == tokens
    assert analyses[1].extract_entities.timing.token_count == tokens


async def test_a_model_that_is_asked_twice_reads_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever names."""
    runs = watched(monkeypatch)
    first, second, third = await _analyze(client, ["topics", "topics@1", "topics"], ["my card", "login"])
    assert first.classify == second.classify == third.classify
    assert sum(runs.sizes) == 2


async def test_calls_for_different_heads_share_batches(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty callers, each with one text for one head: batches are of several versions, and each caller has his own answer."""
    texts = _texts(3, count=60, longest=30)
    calls = [(list(HEADS)[number % 3], text) for number, text in enumerate(texts)]
    alone = [await _ask(client, model, text) for model, text in calls]
    runs = watched(monkeypatch, slow_s=0.05)
    together = await asyncio.gather(*(_ask(client, model, text) for model, text in calls))
    assert [_found(answer) for answer in together] == [_found(answer) for answer in alone]
    assert [answer.model_version for answer in together] == [f"{model}@1" for model, _ in calls]
    assert len(runs.batches) < 30
    assert sum(len(readers) > 1 for readers in runs.readers) > len(runs.batches) / 2
    assert any(readers == {"moods@1", "tones@1", "people@1"} for readers in runs.readers)
    # Every window is for the one version that was asked about it.
    assert {len(readers) for batch in runs.batches for _, readers in batch} == {1}
    assert max(answer.timing.largest_batch for answer in together) == max(runs.sizes)


async def _ask(client: Client, model: str, text: str) -> Any:
    return await (client.extract if model == "people" else client.classify)(model, [text])


async def test_faults_of_a_text_are_in_its_place_of_every_answer(client: Client) -> None:
    """Also where no text can be read."""
    for texts in (["my card", "", "ada", " \n"], ["", " "]):
        for analysis in await _analyze(client, [*WHOLE, *HEADS], texts):
            response = getattr(analysis, analysis.WhichOneof("answer"))
            reasons = [read_status(each.error).reason for each in response.results]
            assert reasons == ["" if text.strip() else "TEXT_EMPTY" for text in texts]
            assert response.model_version.endswith("@1")


FAULTS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"models": []}, "INVALID_ARGUMENT", "BATCH_SIZE_INVALID", "models"),
    ({"models": ["topics"] * 17}, "INVALID_ARGUMENT", "BATCH_SIZE_INVALID", "models"),
    ({"models": ["topics", "No Name"]}, "INVALID_ARGUMENT", "NAME_MALFORMED", "models[1]"),
    ({"models": ["topics", "unknown"]}, "NOT_FOUND", "MODEL_NOT_FOUND", ""),
    ({"models": ["names@9"]}, "NOT_FOUND", "VERSION_NOT_FOUND", ""),
    ({"texts": []}, "INVALID_ARGUMENT", "BATCH_SIZE_INVALID", "texts"),
    ({"texts": ["x"] * 257}, "INVALID_ARGUMENT", "BATCH_SIZE_INVALID", "texts"),
    ({"top_k": -1}, "INVALID_ARGUMENT", "FIELD_INVALID", "top_k"),
    ({"min_score": float("nan")}, "INVALID_ARGUMENT", "FIELD_INVALID", "min_score"),
    ({"offset_unit": 9}, "INVALID_ARGUMENT", "FIELD_INVALID", "offset_unit"),
]


@pytest.mark.parametrize(("fields", "code", "reason", "field"), FAULTS)
async def test_a_fault_of_the_call_or_of_a_model_fails_the_call(
    client: Client, fields: dict[str, Any], code: str, reason: str, field: str
) -> None:
    """By the name of the field, or of the model."""
    request = pb.AnalyzeRequest(**{"models": ["topics"], "texts": ["card"], **fields})
    explained = await refusal(client.stub.Analyze(request, timeout=5))
    assert (explained.code, explained.reason) == (code, reason)
    assert explained.metadata.get("field", "") == field


async def test_sixteen_models_are_not_too_many(client: Client) -> None:
    """The limit itself is legal."""
    models = [*WHOLE, *HEADS] * 3 + ["topics"]
    analyses = await _analyze(client, models, ["my card and ada"])
    assert [getattr(each, each.WhichOneof("answer")).model_version for each in analyses] == [
        f"{model}@1" for model in models
    ]


async def test_timing_tells_of_batches_and_padding(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the largest batch that a call was in, what its texts were padded by, and the variant that answered."""
    runs = watched(monkeypatch, slow_s=0.05)
    texts = [" ".join(["card"] * words) for words in (1, 1, 3, 4, 5, 5, 6, 9, 30)]
    timing = (await client.classify("topics", texts)).timing
    assert timing.variant == "fp32"
    assert timing.token_count == sum(len(text.split()) + 2 for text in texts)
    lengths = [[window.token_count for window, _ in batch] for batch in runs.batches]
    assert timing.largest_batch == max(runs.sizes) > 1
    assert timing.padded_token_count == sum(max(batch) * len(batch) for batch in lengths)


async def test_a_first_call_begins_to_load_all_its_models(tmp_path: Path) -> None:
    """It is told MODEL_LOADING once for all of them."""
    shelf = Shelf(tmp_path)
    for model in WHOLE:
        shelf.good(model, "classification")
    async with in_process(shelf, tmp_path / "cache") as service, connected(service.port) as client:
        request = pb.AnalyzeRequest(models=WHOLE, texts=["card"])
        explained = await refusal(client.stub.Analyze(request, timeout=5))
        assert explained.reason == "MODEL_LOADING"
        for model in WHOLE:
            await client.until(f"{model}@1", "ACTIVE")
        assert len(await _analyze(client, WHOLE, ["card"])) == 2
