"""Units: words and tokens, joined."""

from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.tokenizer import TextTokenizer
from shared.runtime.units import Range, find_units, join_words
from shared.runtime.words import words
from tests.unit.shared.runtime.noise import minilm_tokenizer
from tests.unit.shared.runtime.texts import any_text

MINILM = TextTokenizer(minilm_tokenizer())

ranges = st.tuples(st.integers(0, 30), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))
disjoint = st.lists(st.integers(0, 30), max_size=16, unique=True).map(
    lambda cuts: list(zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False))
)


def joined_by_definition(spans: list[Range], offsets: list[Range]) -> list[tuple[Range, set[int]]]:
    """Merge words while any two share a token; return each unit that has tokens, with them."""
    groups = [
        ({w}, {t for t, o in enumerate(offsets) if o[0] < spans[w][1] and spans[w][0] < o[1] and o[0] < o[1]})
        for w in range(len(spans))
    ]
    merging = True
    while merging:
        merging = False
        for i, (words_i, tokens_i) in enumerate(groups):
            for words_j, tokens_j in groups[i + 1 :]:
                if tokens_i & tokens_j:
                    groups = [g for g in groups if g[0] not in (words_i, words_j)]
                    groups.append((words_i | words_j, tokens_i | tokens_j))
                    merging = True
                    break
            if merging:
                break
    # Words between two that share a token share it too, so a group is a run.
    units = [((spans[min(ws)][0], spans[max(ws)][1]), tokens) for ws, tokens in groups if tokens]
    return sorted(units)


@given(disjoint, st.lists(ranges, max_size=12))
def test_units_are_words_merged_by_shared_tokens(spans: list[Range], offsets: list[Range]) -> None:
    """Against the definition, for words and tokens of any shape: overlapping, empty, out of order."""
    units = join_words(spans, offsets)
    expected = joined_by_definition(spans, offsets)
    assert list(units.spans) == [span for span, _ in expected]
    for token, (_, tokens) in zip(units.tokens.tolist(), expected, strict=True):
        assert offsets[token] == min(offsets[t] for t in tokens)


@given(any_text)
def test_units_of_any_text_are_made_of_words(text: str) -> None:
    """With the real tokenizer: units rise, are disjoint, begin where a word begins and end where a word ends."""
    (tokens,) = MINILM.encode([text])
    units = find_units(text, tokens.offsets)
    starts, ends = {start for start, _ in words(text)}, {end for _, end in words(text)}
    position = 0
    for (start, end), token in zip(units.spans, units.tokens.tolist(), strict=True):
        assert position <= start < end
        assert start in starts
        assert end in ends
        assert tokens.offsets[token][0] < end
        position = end


def test_a_word_of_several_tokens_is_tagged_at_its_first() -> None:
    """`unaffable` is three tokens and one unit."""
    text = "an unaffable man"
    (tokens,) = MINILM.encode([text])
    units = find_units(text, tokens.offsets)
    assert [text[start:end] for start, end in units.spans] == ["an", "unaffable", "man"]
    assert len(tokens.ids) > 3
    assert units.tokens.tolist()[:2] == [0, 1]


def test_marks_that_the_tokenizer_drops_stay_in_the_unit() -> None:
    """MiniLM strips accents, so its token ends before the mark; the unit does not."""
    text = "Zu\u0308rich e\u0301"
    (tokens,) = MINILM.encode([text])
    assert [text[start:end] for start, end in find_units(text, tokens.offsets).spans] == [
        "Zu\u0308rich",
        "e\u0301",
    ]


def test_a_token_over_two_words_makes_them_one_unit() -> None:
    """Where a tokenizer joins what the text separates, there is one tag for both."""
    units = join_words([(0, 3), (4, 6), (7, 9)], [(0, 6), (6, 9)])
    assert (units.spans, units.tokens.tolist()) == (((0, 6), (7, 9)), [0, 1])


def test_a_word_without_a_token_has_no_unit() -> None:
    """What the tokenizer drops gets no tag."""
    units = join_words([(0, 3), (4, 6), (7, 9)], [(0, 3), (7, 9)])
    assert (units.spans, units.tokens.tolist()) == (((0, 3), (7, 9)), [0, 1])
    assert len(join_words([], [(0, 1)])) == len(join_words([(0, 1)], [])) == 0
