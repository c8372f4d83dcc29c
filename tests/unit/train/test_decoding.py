"""How logits become answers: what is chosen on validation is what was put into the logits, and what is served uses it."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax

from services.train.trainer.calibration import fit_temperature
from services.train.trainer.corpus import Corpus
from services.train.trainer.decoding import choose_decoding
from services.train.trainer.reference import Computed
from shared.data.rows import Row, Span
from shared.runtime.entities import EntitySpan
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.runtime.reader import TextReader
from shared.runtime.tokenizer import TextTokenizer
from shared.store.manifest import ClassificationDecoding, EntitiesDecoding
from tests.tiny import FILLERS, tiny_manifest, tiny_tokenizer

WORDS = 25  # of a text: two windows of 16 tokens, and a bit
TAGS = 3  # O, B and I of one label


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> TextReader:
    """Reads a filler as one token."""
    tokenizer = TextTokenizer(tiny_tokenizer(tmp_path_factory.mktemp("tokenizer")))
    return TextReader(tokenizer, "entities", 16, 4)


def computed_by_a_network_too_sure(
    reader: TextReader, texts: int, temperature: float
) -> tuple[Corpus, list[Computed]]:
    """Rows whose words are entities as often as honest logits say, and the logits: those times `temperature`."""
    random = np.random.default_rng(1)
    rows, computed = [], []
    for _ in range(texts):
        words = random.choice(FILLERS, WORDS).tolist()
        honest = np.stack(
            [np.zeros(WORDS), random.normal(0, 2, WORDS), np.full(WORDS, -8.0)], axis=1
        )  # I hardly ever
        marked = random.uniform(size=WORDS) < 1 / (1 + np.exp(-honest[:, 1]))
        starts = np.cumsum([0, *(len(word) + 1 for word in words)])
        spans = tuple(
            Span(int(starts[i]), int(starts[i]) + len(words[i]), "x") for i in np.flatnonzero(marked)
        )
        rows.append(Row(" ".join(words), entities=spans))
        (encoded,) = reader.encode([rows[-1].text])
        logits = []
        for window in encoded.windows:
            tokens = np.full((window.token_count, TAGS), 99.0)  # special tokens are no units
            content = temperature * honest[window.start : window.end]
            tokens[window.content_row : window.content_row + len(content)] = content
            logits.append(tokens.astype(np.float32))
        computed.append(Computed(encoded, tuple(logits)))
    return Corpus("entities", ("x",), {"train": [], "validation": rows, "test": []}), computed


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_an_extractor_s_temperature_is_that_of_its_words(reader: TextReader, temperature: float) -> None:
    """Fitted on the tags of all words of validation, each read in its window: the one that was put in is found."""
    corpus, computed = computed_by_a_network_too_sure(reader, 400, temperature)
    assert len(computed[0].encoded.windows) > 1
    decoding = choose_decoding(corpus, computed, (), most_refused_share=0.0)
    assert isinstance(decoding, EntitiesDecoding)
    assert decoding.temperature == pytest.approx(temperature, rel=0.08)


def test_an_extractor_serves_its_calibrated_scores(tmp_path: Path) -> None:
    """The score of a mention is the geometric mean of its words' probabilities, from logits that the version's temperature divides."""
    manifest, paths = tiny_manifest(tmp_path, "entities")
    sharp = Model.load(manifest, Parts(lambda file: paths[file.digest]))
    decoding = EntitiesDecoding(temperature=4.0)
    mild = Model.load(
        manifest.model_copy(update={"decoding": decoding}), Parts(lambda file: paths[file.digest])
    )
    text = "we met ada lovelace"
    ((before,),), ((after,),) = sharp.answer([text]), mild.answer([text])
    assert isinstance(before, EntitySpan)
    assert isinstance(after, EntitySpan)
    assert (before.start, before.end, before.label) == (after.start, after.end, after.label)
    (encoded,) = mild.encode([text])
    (logits,) = mild.run(list(encoded.windows))
    tags = logits[1 + 2 : 1 + 4].argmax(axis=1)  # of the two words, behind [CLS]
    told = log_softmax(logits[1 + 2 : 1 + 4] / 4.0, axis=1)[np.arange(2), tags]
    assert after.score == pytest.approx(np.exp(told.mean()), rel=1e-5)
    assert after.score < before.score - 0.05


def of_one_label(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of three labels that are twice too sure, and the labels that they honestly stand for."""
    honest = random.normal(0, 2, (count, 3))
    shares = np.exp(log_softmax(honest, axis=1))
    return 2 * honest, np.array([random.choice(3, p=each) for each in shares])


def test_a_classifier_s_threshold_is_one_of_calibrated_scores(reader: TextReader) -> None:
    """It is chosen among the scores as they are served, not among those of the raw logits; without rows out of scope there is none."""
    random = np.random.default_rng(2)
    logits, true = of_one_label(random, 2000)
    labels = ("a", "b", "c")
    rows = [Row(str(i), label=labels[n]) for i, n in enumerate(true)]
    corpus = Corpus("classification", labels, {"train": [], "validation": rows, "test": []})
    (encoded,) = reader.encode(["the"])
    computed = [Computed(encoded, (each.astype(np.float32),)) for each in logits]
    strays = [Computed(encoded, (np.array([1.0, 0.9, 0.8], np.float32),))] * 200

    plain = choose_decoding(corpus, computed, (), most_refused_share=0.5)
    assert isinstance(plain, ClassificationDecoding)
    assert plain.unknown_below is None
    assert plain.temperature == pytest.approx(fit_temperature(logits, true), rel=1e-3)
    assert plain.temperature == pytest.approx(2.0, rel=0.1)
    careful = choose_decoding(corpus, computed, strays, most_refused_share=0.5)
    assert isinstance(careful, ClassificationDecoding)
    assert careful.unknown_below is not None
    # A stray's best score is 0.35 when it is calibrated, and 0.37 before; in between nothing is lost that need be.
    assert (
        np.exp(log_softmax(np.array([1.0, 0.9, 0.8]) / careful.temperature)).max()
        < careful.unknown_below
        < 0.367
    )


@pytest.mark.parametrize(("rows", "expected"), [(49, 1.0), (50, 2.0)])
def test_few_validation_rows_leave_scores_as_they_are(reader: TextReader, rows: int, expected: float) -> None:
    """For every task: of one label, of several, and of tags however many words the rows have."""
    random = np.random.default_rng(4)
    logits, true = of_one_label(random, rows)
    labels = ("a", "b", "c")
    (encoded,) = reader.encode(["the"])
    computed = [Computed(encoded, (each.astype(np.float32),)) for each in logits]
    one = Corpus(
        "classification", labels, {"validation": [Row(str(i), label=labels[n]) for i, n in enumerate(true)]}
    )
    several = Corpus(
        "multi-label",
        labels,
        {"validation": [Row(str(i), label_set=(labels[n],)) for i, n in enumerate(true)]},
    )
    for corpus, known in (
        (one, computed),
        (several, computed),
        computed_by_a_network_too_sure(reader, rows, 2.0),
    ):
        temperature = choose_decoding(corpus, known, (), most_refused_share=0.0).temperature
        assert (temperature == 1.0) == (expected == 1.0)


def test_refusing_is_bounded(reader: TextReader) -> None:
    """Of rows that are all answered rightly no more is refused than may be, though strays score nearly as they do; without a bound more is."""
    random = np.random.default_rng(3)
    logits, _ = of_one_label(random, 300)
    labels = ("a", "b", "c")
    rows = [Row(str(i), label=labels[n]) for i, n in enumerate(logits.argmax(axis=1))]
    corpus = Corpus("classification", labels, {"train": [], "validation": rows, "test": []})
    (encoded,) = reader.encode(["the"])
    computed, strays = (
        [Computed(encoded, (each.astype(np.float32),)) for each in scale * logits] for scale in (1, 0.4)
    )
    shares = []
    for most in (0.02, 0.1, 1.0):
        decoding = choose_decoding(corpus, computed, strays, most_refused_share=most)
        assert isinstance(decoding, ClassificationDecoding)
        scores = np.exp(log_softmax(logits / decoding.temperature, axis=1)).max(axis=1)
        shares.append((scores < (decoding.unknown_below or 0)).mean())
        assert shares[-1] <= most
    assert shares[0] < shares[1] < shares[2]
