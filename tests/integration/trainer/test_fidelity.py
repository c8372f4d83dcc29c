"""What tokens and words do to mentions: told exactly, or counted; never shifted (NFC and NFD, every script, every kind of tokenizer)."""

import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from services.train.trainer.examples import unit_tags
from services.train.trainer.fidelity import measure_fidelity
from shared.data.rows import Row, Span
from shared.errors import DatasetInvalidError
from shared.runtime.entities import extract_spans
from shared.runtime.reader import TextReader
from shared.runtime.tokenizer import TextTokenizer
from shared.runtime.words import words
from tests.families import (
    byte_fallback_bpe,
    byte_level_bpe,
    family_bases,
    unigram_of_deberta,
    unigram_of_xlm_r,
    word_piece,
)
from tests.integration.trainer.world import Workplace

__all__ = ["family_bases"]

KINDS: dict[str, Callable[[], Tokenizer]] = {
    "Unigram of XLM-R": unigram_of_xlm_r,
    "Unigram of DeBERTa": unigram_of_deberta,
    "byte-level BPE": byte_level_bpe,
    "byte-fallback BPE": byte_fallback_bpe,
    "WordPiece": word_piece,
}
DRAWN = {
    kind: tokenizer().to_str() for kind, tokenizer in KINDS.items()
}  # some are learnt otherwise each time
WORDS = (
    *("Lovelace", "São", "Köln-Ehrenfeld", "naïve", "İstanbul", "ﬁnal", "3,141.59"),
    *("القاهرة", "مُحَمَّد", "ירושלים", "שָׁלוֹם"),
    *("北京大学", "東京タワー", "ｶﾀｶﾅ", "서울역", "한글", "दिल्ली", "क्षत्रिय", "กรุงเทพฯ", "น้ำ"),
    *("👩‍🚀", "🏳️‍🌈", "👍🏽", "🇩🇪", "😀"),
)
PUNCTUATION = (" ", "  ", "\u3000", "\n", ", ", "。", " – ", "-", "'", "\u200b", "")
LABELS = ("person", "place")

texts = st.builds(
    lambda parts, form: unicodedata.normalize(form, "".join(word + gap for word, gap in parts)),
    st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(PUNCTUATION)), min_size=1, max_size=12),
    st.sampled_from(["NFC", "NFD"]),
)


@pytest.fixture(scope="module")
def readers() -> dict[str, TextReader]:
    """A reader of each kind, of windows so short that most texts need several."""
    made = {}
    for kind, tokenizer in DRAWN.items():
        made[kind] = TextReader(TextTokenizer(tokenizer.encode()), "entities", 24, stride_tokens=6)
    return made


@st.composite
def mentions(draw: st.DrawFn) -> tuple[str, tuple[Span, ...]]:
    """A text and some runs of its words, disjoint, as its entities."""
    text = draw(texts)
    found = words(text)
    cuts = sorted(draw(st.lists(st.integers(0, len(found)), max_size=6, unique=True)))
    runs = zip(cuts[::2], cuts[1::2], strict=False)
    spans = [Span(found[first][0], found[end - 1][1], draw(st.sampled_from(LABELS))) for first, end in runs]
    return text, tuple(spans)


@pytest.mark.parametrize("kind", KINDS)
@given(example=mentions())
@settings(max_examples=150, deadline=None)
def test_perfect_logits_give_the_mentions_back(
    kind: str, readers: dict[str, TextReader], example: tuple[str, tuple[Span, ...]]
) -> None:
    """From spans to tags to windows' logits to spans: each is the mention or, where tokens span words, the units that it touches,
    and then it is counted. All slices begin and end with words of the text."""
    text, spans = example
    reader = readers[kind]
    (encoded,) = reader.encode([text])
    assert encoded.units is not None
    number = {label: i for i, label in enumerate(LABELS)}
    tags = unit_tags(encoded.units, spans, number)

    logits = []
    for window in encoded.windows:
        rows = np.zeros((window.token_count, 2 * len(LABELS) + 1), dtype=np.float32)
        rows[:, 0] = 5
        for token, tag in zip(encoded.units.tokens, tags, strict=True):
            if window.start <= token < window.end:
                rows[token - window.start + window.content_row] = 10 * np.eye(len(rows[0]))[tag]
        logits.append(rows)
    answered = {
        Span(each.start, each.end, each.label)
        for each in extract_spans(LABELS, encoded.units, encoded.windows, logits)
    }

    fidelity = measure_fidelity([Row(text, entities=spans)], [encoded], LABELS)
    exact = answered & set(spans)
    assert len(exact) == len(spans) - len(fidelity.widened) - len(fidelity.lost)
    starts, ends = {start for start, _ in words(text)}, {end for _, end in words(text)}
    assert all(each.start in starts and each.end in ends for each in answered)
    for wide in answered - exact:  # it is made of units that mentions touch
        assert any(span.start < wide.end and wide.start < span.end for span in spans)


@pytest.mark.parametrize("kind", KINDS)
@given(text=texts)
@settings(max_examples=150, deadline=None)
def test_offsets_point_at_what_the_token_says(kind: str, readers: dict[str, TextReader], text: str) -> None:
    """A token that is readable by itself begins with a letter of its slice of the text, whatever was normalised."""
    (tokens,) = readers[kind].tokenizer.encode([text])
    decoder = Tokenizer.from_str(DRAWN[kind])
    previous = 0
    for token_id, (start, end) in zip(tokens.ids.tolist(), tokens.offsets, strict=True):
        assert 0 <= start <= end <= len(text)
        assert start >= previous - 1  # some kinds give a token of bytes its whole character again
        previous = max(previous, start)
        piece = "" if decoder.id_to_token(token_id) in UNKNOWN else decoder.decode([token_id])
        if letters(piece) and "\ufffd" not in piece:  # which stands for a part of a character
            assert letters(piece)[0] in letters(text[start:end])


UNKNOWN = {"<unk>", "[UNK]"}


def letters(piece: str) -> str:
    """The base letters and digits of a piece, without marks, width and case."""
    return "".join(
        each
        for each in unicodedata.normalize("NFKD", piece).casefold()
        if unicodedata.category(each)[0] in "LN"
    )


def test_mentions_that_words_cannot_tell_are_counted(readers: dict[str, TextReader]) -> None:
    """A mention within a word is widened, one without any token is lost, the others are exact; each is named by its place."""
    rows = [
        Row("Lovelace in Köln", entities=(Span(0, 8, "person"), Span(12, 16, "place"))),
        Row("Lovelace in Köln", entities=(Span(0, 4, "person"),)),
        Row("Köln \u200d", entities=(Span(5, 6, "place"),)),
    ]
    fidelity = measure_fidelity(rows, readers["WordPiece"].encode([row.text for row in rows]), LABELS)
    assert (fidelity.mentions, fidelity.widened, fidelity.lost) == (
        4,
        ("train:2 [0, 4)",),
        ("train:3 [5, 6)",),
    )
    assert fidelity.inexact == 0.5


def test_too_many_of_them_refuse_the_job(workplace: Workplace, family_bases: dict[str, Path]) -> None:
    """Before anything is trained, with a count, the first places, and what to do."""
    rows = [Row(f"Lovelace met Linus {i}", entities=(Span(0, 4, "person"),)) for i in range(40)]
    assignment = workplace.assign(
        family_bases["distil-mbert"],
        "entities",
        adaptable=True,
        rows={"train": rows[:30], "validation": rows[30:]},
    )
    with pytest.raises(DatasetInvalidError, match=r"Of 30 entities .* 30 widened, 0 lost") as raised:
        workplace.train(assignment)
    assert raised.value.problems[0].field == "train:1 [0, 4)"


def test_a_version_says_how_many_were_widened(trained: Callable[..., object]) -> None:
    """In its gate's report."""
    manifest = trained("entities", True).manifest  # type: ignore[attr-defined]
    (check,) = (check for check in manifest.gate_checks if check.name == "mentions")
    assert (check.measured, check.passed) == (0, True)
    assert "144 mentions" in check.detail
