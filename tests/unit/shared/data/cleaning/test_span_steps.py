"""Steps of spans and labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.data.cleaning.spans import snap_spans, trim_labels, trim_spans
from shared.data.inspection.mentions import cuts_word
from shared.data.rows import Row, Span, check_row
from tests.unit.shared.data.cleaning.dirt import TEXTS

WORDS = st.lists(
    st.sampled_from(["Ada", "in", "5", "m", "x", " ", " ", ",", "שלום", "e\u0301", "北京", "Porto", "-"]),
    max_size=10,
).map("".join)

LATIN_WORDS = st.lists(st.sampled_from(["Ada", "in", "x", "Porto", " ", ",", "-"]), max_size=10).map("".join)


@st.composite
def marked_rows(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> Row:
    """A text with disjoint spans, of any ends."""
    text = draw(texts.filter(bool))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), unique=True, max_size=8)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return Row(text, entities=tuple(Span(start, end, "x") for start, end in pairs))


def surfaces(row: Row) -> list[str]:
    """What the spans mark."""
    return [row.text[span.start : span.end] for span in row.entities or ()]


@given(marked_rows(TEXTS))
def test_trimmed_spans_have_no_white_space_at_their_ends(row: Row) -> None:
    """One of nothing else stays for the check to refuse; again changes nothing."""
    trimmed = trim_spans(row)
    assert trimmed.text == row.text
    assert surfaces(trimmed) == [surface.strip() or surface for surface in surfaces(row)]
    assert trim_spans(trimmed) is trimmed
    if all(surface == surface.strip() for surface in surfaces(row)):
        assert trimmed is row


@pytest.mark.parametrize(
    ("text", "marked", "meant"),
    [
        ("to Lisbon today", "isbon ", "Lisbon"),  # all offsets one too high
        ("to Lisbon, today", "isbon,", "Lisbon"),
        ("to Lisbon today", " Lisbo", "Lisbon"),  # one too low
        ("to Lisbon", "Lisbo", "Lisbon"),  # the end counts the last character in
        ("Lisbon today", "isbon", "Lisbon"),  # the start counts from one
        ("to New York today", "ew York", "New York"),
        ("room 101 is", "10", "101"),
        ("в Москве", "оскве", "Москве"),
        # What stays:
        ("to Lisbon today", "Lisbon", None),
        ("to Lisbon today", "isbo", None),  # two ends off: not one slip
        ("to Lisbon today", "sbon", None),  # two letters off
        ("to Lisbon today", "o Lisbon", "to Lisbon"),
        ("take 5m of it", "5", None),  # a number and its unit
        ("גר בירושלים", "ירושלים", None),  # a particle is written together with its word
        ("我要去北京旅游", "北京", None),
        ("xe\u0301ab", "b", None),  # the mark belongs to the word
    ],
)
def test_a_span_that_is_off_by_one_is_moved_where_that_leaves_no_doubt(
    text: str, marked: str, meant: str | None
) -> None:
    """`None`: it stays."""
    start = text.index(marked)
    row = Row(text, entities=(Span(start, start + len(marked), "x"),))
    snapped = snap_spans(row)
    assert surfaces(snapped) == [meant or marked]
    assert (snapped is row) == (meant is None)


def test_no_span_is_moved_onto_another() -> None:
    """`L` is an entity by itself here, so that nobody knows whose it is."""
    row = Row("to Lisbon", entities=(Span(3, 4, "x"), Span(4, 9, "y")))
    assert snap_spans(row) is row


@given(marked_rows(WORDS))
def test_snapped_spans_are_as_good_as_before(row: Row) -> None:
    """They move by one at most, no good row becomes a bad one, what moved cuts no word, and again changes nothing."""
    snapped = snap_spans(row)
    assert snapped.text == row.text
    for before, after in zip(row.entities or (), snapped.entities or (), strict=True):
        assert abs(after.start - before.start) <= 1
        assert abs(after.end - before.end) <= 1
        if after != before:
            assert not any(cuts_word(row.text, at) for at in (after.start, after.end))
    if not check_row(row, "entities", where=""):
        assert not check_row(snapped, "entities", where="")
    assert snap_spans(snapped) is snapped


@given(marked_rows(LATIN_WORDS))
def test_a_slip_is_told_from_every_other(row: Row) -> None:
    """Of the four ways to be off by one that are mended, at most one makes whole words of a span."""

    def is_whole(start: int, end: int) -> bool:
        edges = 0 <= start < end <= len(row.text) and not any(cuts_word(row.text, at) for at in (start, end))
        return edges and row.text[start].isalnum() and row.text[end - 1].isalnum()

    for span in row.entities or ():
        slips = ((-1, -1), (1, 1), (0, 1), (-1, 0))
        if any(cuts_word(row.text, at) for at in (span.start, span.end)):
            assert sum(is_whole(span.start + first, span.end + last) for first, last in slips) <= 1


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Row("t", label=" a\n"), Row("t", label="a")),
        (Row("t", label_set=(" a", "a", "b ")), Row("t", label_set=("a", "b"))),
        (Row("t", entities=(Span(0, 1, "a "),)), Row("t", entities=(Span(0, 1, "a"),))),
        (Row("t", label="a"), None),
        (Row("t", label_set=("a", "b")), None),
        (Row("t", entities=()), None),
        (Row("t", out_of_scope=True), None),
    ],
)
def test_labels_lose_the_white_space_around_them(row: Row, expected: Row | None) -> None:
    """Of every task; `None`: the very row comes back."""
    trimmed = trim_labels(row)
    assert trimmed == (expected or row)
    assert (trimmed is row) == (expected is None)
