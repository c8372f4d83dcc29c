"""What tokens and words do to mentions: told exactly, or counted; never shifted (NFC and NFD, every script, every kind of tokenizer)."""

import re
import unicodedata
from collections.abc import Callable, Sequence
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
from tests.integration.trainer.world import Outcome, Workplace, splits_of

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
    if not crossed_words(text, reader.tokenizer.encode([text])[0].offsets):
        assert answered == set(spans)
    assert len(exact) == len(spans) - len(fidelity.altered) - len(fidelity.lost)
    starts, ends = {start for start, _ in words(text)}, {end for _, end in words(text)}
    assert all(each.start in starts and each.end in ends for each in answered)
    for wide in answered - exact:  # it is made of units that mentions touch
        assert any(span.start < wide.end and wide.start < span.end for span in spans)


def crossed_words(text: str, offsets: Sequence[tuple[int, int]]) -> bool:
    """Whether a token reaches into two words, or a word has no token: only then may a mention be told otherwise."""
    found = words(text)
    reached = [[word for word in found if word[0] < end and start < word[1]] for start, end in offsets]
    return any(len(each) > 1 for each in reached) or {w for each in reached for w in each} != set(found)


EXACT = (
    "Ada Lovelace in São Paulo",
    "سافر أحمد إلى القاهرة",
    "דויד נסע לירושלים",
    "राम दिल्ली गया",
    "서울역 에서 만났다",
    "Иван в Москву",
    "👩\u200d🚀 met Linus",
)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("text", EXACT)
@pytest.mark.parametrize("kind", KINDS)
def test_every_word_between_spaces_is_a_mention_of_its_own(
    kind: str, text: str, form: str, readers: dict[str, TextReader]
) -> None:
    """In every script and form, for every kind of tokenizer, each is told exactly as it is labelled."""
    text = unicodedata.normalize(form, text)
    spans = tuple(Span(match.start(), match.end(), "place") for match in re.finditer(r"\S+", text))
    for span in spans:
        row = Row(text, entities=(span,))
        fidelity = measure_fidelity([row], readers[kind].encode([text]), LABELS)
        assert (fidelity.altered, fidelity.lost) == ((), ())


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
    """A mention within a word is altered, one without any token is lost, the others are exact; each is named by its place."""
    rows = [
        Row("Lovelace in Köln", entities=(Span(0, 8, "person"), Span(12, 16, "place"))),
        Row("Lovelace in Köln", entities=(Span(0, 4, "person"),)),
        Row("Köln \u200d", entities=(Span(5, 6, "place"),)),
    ]
    fidelity = measure_fidelity(rows, readers["WordPiece"].encode([row.text for row in rows]), LABELS)
    assert (fidelity.mentions, fidelity.altered, fidelity.lost) == (
        4,
        ("row 2 of the train split, person [0, 4)",),
        ("row 3 of the train split, place [5, 6)",),
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
    with pytest.raises(DatasetInvalidError, match=r"Of 30 entities .* 30 altered, 0 lost") as raised:
        workplace.train(assignment)
    assert raised.value.problems[0].field == "row 1 of the train split, person [0, 4)"


def test_a_version_says_how_many_were_altered(
    trained: Callable[..., Outcome], workplace: Workplace, tiny_base: Path
) -> None:
    """In its gate's report: none of the usual rows, and one in thirty here."""
    assert mention_check(trained("entities", True)) == (0, "144 mentions")
    splits = splits_of("entities")
    within = Row("we met Ada", entities=(Span(7, 9, "person"),))
    assignment = workplace.assign(
        tiny_base, "entities", adaptable=True, rows={**splits, "train": [*splits["train"][:29], within]}
    )
    measured, count = mention_check(workplace.train(assignment))
    assert (measured, count) == (pytest.approx(1 / 30), "30 mentions")


def mention_check(outcome: Outcome) -> tuple[float, str]:
    """What the gate's report says of mentions: the share, and of how many."""
    (check,) = (check for check in outcome.manifest.gate_checks if check.name == "mentions")
    count = re.search(r"\d+ mentions", check.detail)
    assert check.passed
    assert count is not None
    return check.measured, count[0]
