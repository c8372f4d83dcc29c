"""A loaded version: its answers depend on the text and on nothing else."""

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import TaskMismatchError
from shared.runtime.entities import EntitySpan
from shared.runtime.model import Model
from shared.runtime.offsets import convert
from shared.runtime.parts import Parts
from shared.runtime.words import words
from shared.store.manifest import Task
from tests.tiny import CLASSIFICATION_LABELS, TOPICS, name_label, tiny_manifest, topic_label
from tests.unit.shared.runtime.noise import minilm_tokenizer, noisy_extractor
from tests.unit.shared.runtime.test_offsets import utf8_slice, utf16_slice
from tests.unit.shared.runtime.texts import any_text

TASKS: tuple[Task, ...] = ("classification", "entities")


def load(
    folder: Path, task: Task, *, frozen: bool = False, max_tokens: int = 64, stride_tokens: int = 16
) -> Model:
    manifest, paths = tiny_manifest(
        folder, task, frozen=frozen, max_tokens=max_tokens, stride_tokens=stride_tokens
    )
    return Model.load(manifest, Parts(lambda file: paths[file.digest]))


@pytest.fixture(scope="module", params=["tiny", "minilm"])
def noisy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Finds entities in nearly every text, in windows of 16 tokens, over a toy or the real tokenizer."""
    tokenizer = minilm_tokenizer() if request.param == "minilm" else None
    return noisy_extractor(tmp_path_factory.mktemp(request.param), tokenizer)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(tmp_path_factory.mktemp("classifier"), "classification", max_tokens=16, stride_tokens=4)


def spans_of(model: Model, text: str) -> list[EntitySpan]:
    (spans,) = model.answer([text])
    return [span for span in spans if isinstance(span, EntitySpan)]


def in_batches(model: Model, texts: Sequence[str], order: random.Random) -> list[list[np.ndarray]]:
    """Compute the logits of texts in random order and random batches."""
    encoded = model.encode(texts)
    places = [(i, k) for i, text in enumerate(encoded) for k in range(len(text.windows))]
    order.shuffle(places)
    logits: list[list[np.ndarray]] = [[np.empty(0)] * len(text.windows) for text in encoded]
    while places:
        batch, places = places[: (size := order.randint(1, 7))], places[size:]
        for (i, k), result in zip(batch, model.run([encoded[i].windows[k] for i, k in batch]), strict=True):
            logits[i][k] = result
    return logits


@settings(deadline=None, max_examples=150)
@given(text=any_text)
def test_spans_of_any_text_are_whole_words_in_every_unit(noisy: Model, text: str) -> None:
    """`text[start:end] == surface` in all three units; spans rise, never overlap, never hold only white space, and begin
    and end with words."""
    spans = spans_of(noisy, text)
    plain = [(span.start, span.end) for span in spans]
    in_bytes, in_utf16 = convert(text, plain, "UTF8_BYTES"), convert(text, plain, "UTF16_CODE_UNITS")
    starts, ends = {start for start, _ in words(text)}, {end for _, end in words(text)}
    position = 0
    for span, (start_8, end_8), (start_16, end_16) in zip(spans, in_bytes, in_utf16, strict=True):
        surface = text[span.start : span.end]
        assert utf8_slice(text, start_8, end_8) == surface
        assert utf16_slice(text, start_16, end_16) == surface
        assert surface == surface.strip() != ""
        assert position <= span.start < span.end
        assert span.start in starts
        assert span.end in ends
        assert 0 < span.score <= 1
        position = span.end


@settings(deadline=None, max_examples=60)
@given(texts=st.lists(any_text, min_size=1, max_size=8), order=st.randoms())
def test_g11_batched_entities_equal_unbatched(noisy: Model, texts: list[str], order: random.Random) -> None:
    """Whatever a window's batch-mates, their number and order: its logits are within 1e-4, its text's spans the same."""
    encoded = noisy.encode(texts)
    for text, batched in zip(encoded, in_batches(noisy, texts, order), strict=True):
        alone = [noisy.run([window])[0] for window in text.windows]
        for one, many in zip(alone, batched, strict=True):
            assert one.shape == many.shape
            np.testing.assert_allclose(many, one, atol=1e-4, rtol=0)
        assert [(s.start, s.end, s.label) for s in noisy.extract(text, batched)] == [
            (s.start, s.end, s.label) for s in noisy.extract(text, alone)
        ]


@settings(deadline=None, max_examples=60)
@given(
    texts=st.lists(
        st.lists(st.sampled_from((*TOPICS, "help", "é", "漢")), max_size=60).map(" ".join), max_size=8
    ),
    order=st.randoms(),
)
def test_g11_batched_classification_equals_unbatched(
    classifier: Model, texts: list[str], order: random.Random
) -> None:
    """As above: scores within 1e-4 and the same best label, unless the best two are closer than that."""
    encoded = classifier.encode(texts)
    for text, batched in zip(encoded, in_batches(classifier, texts, order), strict=True):
        alone = classifier.classify(text, [classifier.run([window])[0] for window in text.windows])
        together = classifier.classify(text, batched)
        assert {each.label: each.score for each in together} == pytest.approx(
            {each.label: each.score for each in alone}, abs=1e-4
        )
        if alone[0].score - alone[1].score > 1e-3:
            assert together[0].label == alone[0].label


@pytest.mark.parametrize("batch_tokens", [1, 40, 4096])
def test_bulk_answers_are_those_of_single_texts(noisy: Model, batch_tokens: int) -> None:
    """`answer` sorts and batches, and gives back what each text gets by itself, in the order of the texts."""
    texts = [f"{'we met ' * (i % 13)}ada {i} lovelace" for i in range(600)]

    def decisions(spans: Sequence[object]) -> list[tuple[int, int, str]]:
        return [(span.start, span.end, span.label) for span in spans if isinstance(span, EntitySpan)]

    bulk = noisy.answer(texts, batch_tokens=batch_tokens)
    some = range(0, 600, 37)
    assert [decisions(bulk[i]) for i in some] == [decisions(spans_of(noisy, texts[i])) for i in some]


@pytest.mark.parametrize("frozen", [False, True])
def test_answers_are_the_expected_ones(tmp_path: Path, frozen: bool) -> None:
    """Both forms, one graph or encoder and head, answer what was built into them."""
    classifier, extractor = (load(tmp_path / task, task, frozen=frozen) for task in TASKS)
    answers = classifier.answer([f"help me with my {word}, please" for word in TOPICS])
    assert [answer[0].label for answer in answers] == [topic_label(word) for word in TOPICS]
    text = "We met Ada Lovelace in Paris."
    assert [(text[s.start : s.end], s.label) for s in spans_of(extractor, text)] == [
        ("Ada Lovelace", name_label("ada")),
        ("Paris", name_label("paris")),
    ]
    classifier.check_golden()
    extractor.check_golden()


@pytest.mark.parametrize("place", [0, 47, 61, 62, 63, 300, 500])
def test_an_entity_after_token_300_is_found(tmp_path: Path, place: int) -> None:
    """Windows of 64 tokens reach every place of a long text: the beginning, boundaries, the far end."""
    model = load(tmp_path, "entities")
    text = " ".join(["help"] * place + ["Ada Lovelace"] + ["please"] * 40)
    (span,) = spans_of(model, text)
    assert (text[span.start : span.end], span.label) == ("Ada Lovelace", name_label("ada"))
    assert len(model.encode([text])[0].windows) == 1 + max(0, -(-(place + 42 - 62) // (62 - 16)))


def test_a_long_text_is_classified_by_all_its_windows(tmp_path: Path) -> None:
    """What stands at the far end of a text counts as much as what stands at its beginning."""
    model = load(tmp_path, "classification", max_tokens=16, stride_tokens=0)
    text = " ".join(["card"] * 20 + ["help"] * 100 + ["login"] * 40)
    assert model.answer([text])[0][0].label == topic_label("login")


@pytest.mark.parametrize("text", ["", " \t\r\n", "\0", "\u200b\u200d"])
def test_a_text_without_tokens_is_answered(noisy: Model, classifier: Model, text: str) -> None:
    """Nothing to read gives all labels some score, and no entities."""
    assert spans_of(noisy, text) == []
    assert len(classifier.answer([text])[0]) == len(CLASSIFICATION_LABELS)


def test_no_windows_no_results(classifier: Model) -> None:
    """An empty batch runs nothing."""
    assert classifier.run([]) == []
    assert classifier.encode([]) == []
    assert classifier.answer([]) == []


def test_logits_are_read_only(classifier: Model) -> None:
    """Results share one array, so nobody can change a batch-mate's."""
    (encoded,) = classifier.encode(["card"])
    (logits,) = classifier.run(encoded.windows)
    with pytest.raises(ValueError, match="read-only"):
        logits[0] = 1


def test_a_model_does_its_own_task_only(tmp_path: Path) -> None:
    """Asked for the other task, it says which one it does."""
    classifier, extractor = (load(tmp_path / task, task) for task in TASKS)
    (encoded,) = classifier.encode(["card"])
    with pytest.raises(TaskMismatchError, match="its task is classification"):
        classifier.extract(encoded, classifier.run(encoded.windows))
    (encoded,) = extractor.encode(["card"])
    with pytest.raises(TaskMismatchError, match="its task is entities"):
        extractor.classify(encoded, extractor.run(encoded.windows))


@pytest.mark.parametrize("task", TASKS)
def test_many_threads_share_one_model(tmp_path: Path, task: Literal["classification", "entities"]) -> None:
    """Eight threads at once get what one gets."""
    model = load(tmp_path, task)
    texts = [f"we met ada lovelace {'and ' * i} my {TOPICS[i % 9]} in paris" for i in range(30)]
    expected = model.answer(texts)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda size: model.answer(texts, batch_tokens=size), [30, 70, 200, 4096] * 6))
    for answer in answers:
        for one, other in zip(answer, expected, strict=True):
            assert [item.label for item in one] == [item.label for item in other]
            assert [item.score for item in one] == pytest.approx([item.score for item in other], abs=1e-4)


def test_a_closed_model_says_so(tmp_path: Path) -> None:
    """After close nothing runs; closing twice is fine."""
    model = load(tmp_path, "classification")
    (encoded,) = model.encode(["card"])
    model.close()
    model.close()
    with pytest.raises(RuntimeError, match="closed"):
        model.run(encoded.windows)
