"""Entity decoding: which window a token is read from, and what a span is worth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.classification import Logits
from shared.runtime.entities import extract_spans, most_context, unit_logits
from shared.runtime.units import Units
from shared.runtime.windows import Window, cut_windows

LABELS = ("person", "place")
OUT, B_PERSON, I_PERSON, B_PLACE, I_PLACE = range(5)


def cut(count: int, longest: int, stride: int) -> tuple[Window, ...]:
    return cut_windows(
        np.arange(count), prefix=(101,), suffix=(102,), pad_id=0, max_tokens=longest + 2, stride_tokens=stride
    )


def one_hot(tags: list[int], height: float = 10) -> Logits:
    logits = np.zeros((len(tags), 5), np.float32)
    logits[np.arange(len(tags)), tags] = height
    return logits


def words_of(count: int) -> Units:
    """One token and three code points a word."""
    return Units(tuple((4 * i, 4 * i + 3) for i in range(count)), np.arange(count))


@given(st.integers(2, 12), st.data())
def test_each_token_is_read_where_it_sees_most(longest: int, data: st.DataObject) -> None:
    """No other window holds the token with more context on its poorer side; the text's own ends cut nothing off."""
    stride, count = data.draw(st.integers(0, longest - 1)), data.draw(st.integers(1, 60))
    windows = cut(count, longest, stride)

    def context(token: int, window: Window) -> int:
        left = 10_000 if window.start == 0 else token - window.start
        right = 10_000 if window.end == count else window.end - 1 - token
        return min(left, right)

    for token, k in enumerate(most_context(np.arange(count), windows).tolist()):
        holding = [w for w in windows if w.start <= token < w.end]
        assert windows[k] in holding
        assert context(token, windows[k]) == max(context(token, w) for w in holding)


@given(st.integers(2, 12), st.data())
def test_rows_are_those_of_the_token(longest: int, data: st.DataObject) -> None:
    """Logits that say which content token they stand for come back in the order of the tokens."""
    stride, count = data.draw(st.integers(0, longest - 1)), data.draw(st.integers(1, 60))
    windows = cut(count, longest, stride)
    logits = [
        np.concatenate(([-1], np.arange(w.start, w.end), [-1])).astype(np.float32)[:, None] for w in windows
    ]
    assert unit_logits(np.arange(count), windows, logits)[:, 0].tolist() == list(range(count))


def test_an_entity_across_a_window_boundary_is_whole() -> None:
    """An entity that the first window cuts in two, and that both windows see in part, comes out once and whole."""
    windows = cut(20, 12, 6)  # [0, 12), [6, 18), [12, 20)
    tags = [OUT] * 20
    tags[10:14] = [B_PERSON, I_PERSON, I_PERSON, I_PERSON]
    logits = [one_hot([OUT, *tags[w.start : w.end], OUT]) for w in windows]
    assert [(s.start, s.end, s.label) for s in extract_spans(LABELS, words_of(20), windows, logits)] == [
        (40, 55, "person")
    ]


def test_a_window_is_not_believed_at_its_edge() -> None:
    """At the edge a window sees no context and may be wrong; the window that has the token in its middle decides."""
    windows = cut(18, 12, 6)
    tags = [OUT] * 18
    tags[10:12] = [B_PLACE, I_PLACE]
    wrong = [*tags[:10], B_PERSON, OUT]
    logits = [one_hot([OUT, *wrong, OUT], 50), one_hot([OUT, *tags[6:18], OUT])]
    assert [(s.start, s.end, s.label) for s in extract_spans(LABELS, words_of(18), windows, logits)] == [
        (40, 47, "place")
    ]


def test_a_span_scores_the_geometric_mean_of_its_tags() -> None:
    """Two words with tag probabilities p and q make a span of sqrt(p * q)."""
    scores = np.array([[0, 2, 0, 0, 0], [0, 0, 1, 0, 0]], np.float32)
    p, q = np.exp(2) / (np.exp(2) + 4), np.exp(1) / (np.exp(1) + 4)
    (span,) = extract_spans(LABELS, words_of(2), [Window(np.zeros(2, np.int64), 0, 2, 0)], [scores])
    assert span.score == pytest.approx(np.sqrt(p * q))


def test_neighbours_of_one_label_stay_apart() -> None:
    """B begins another mention even right after one of its own label."""
    (window,) = cut(4, 8, 0)
    logits = [one_hot([OUT, B_PLACE, B_PLACE, I_PLACE, OUT, OUT])]
    spans = extract_spans(LABELS, words_of(4), [window], logits)
    assert [(s.start, s.end) for s in spans] == [(0, 3), (4, 11)]


def test_a_text_without_units_has_no_entities() -> None:
    """Nothing to tag, nothing to find."""
    (window,) = cut(0, 8, 0)
    assert extract_spans(LABELS, words_of(0), [window], [one_hot([OUT, OUT])]) == []
