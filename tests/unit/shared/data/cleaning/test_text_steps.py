"""Text steps: what each does to a text, and that spans stay on what they marked."""

import html
import unicodedata
from contextlib import suppress

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from shared.data.cleaning.edits import Edit, edited
from shared.data.cleaning.markup import unescape_html, unescape_references
from shared.data.cleaning.steps import TEXT_STEPS, Cleaning
from shared.data.formats.record import LineError
from shared.data.rows import Row, Span
from tests.unit.shared.data.cleaning.dirt import TEXTS, marked_texts

ALL = frozenset(TEXT_STEPS)
STEPS = st.sampled_from(sorted(TEXT_STEPS))


def once(step: str, row: Row) -> Row:
    """One pass of a step."""
    return edited(row, list(TEXT_STEPS[step](row.text)), step=step)


def clean(*steps: str, row: Row) -> Row:
    """All passes of some steps."""
    return Cleaning(steps).mend(row)


def surface(row: Row) -> str:
    """What the only span of a row marks."""
    [span] = row.entities or ()
    return row.text[span.start : span.end]


@pytest.mark.parametrize(
    ("step", "text", "expected"),
    [
        ("drop-control-characters", "a\x00b\x0bc\x0cd\x7f\te\r\n", "ab c d\te\r\n"),
        ("drop-control-characters", "caf\ufffd", None),
        ("unescape-html", "one<br>two <b>th</b>ree", "one two three"),
        ("unescape-html", "<p class='x'>5 &lt; 6 &amp;amp;&nbsp;&eacute;&#233;&#xE9;", " 5 < 6 &\u00a0ééé"),
        ("unescape-html", "AT&T ?a=1&copy=2 &notit; &unknown; if a <b and c> d", None),
        ("unescape-html", "&#0; &#xD800;", None),
        ("unescape-html", "&lt;b&gt;so&lt;/b&gt;", "<b>so</b>"),
        ("unescape-html", "<p>type &amp;lt;br&amp;gt; here</p>", " type <br> here "),
        ("unescape-html", "&Eacute;&NotEqualTilde;", "É\u2242\u0338"),
        ("nfc", "Cafe\u0301 \u1112\u1161\u11ab q\u0307\u0323", "Café 한 q\u0323\u0307"),
        ("nfc", "fi ﬁ ² 👩\u200d👧 שלום", None),
        ("collapse-white-space", " \r\n a\u00a0\tb\u2028c\n", "a b c"),
    ],
)
def test_a_step_mends_what_it_is_for_and_nothing_else(step: str, text: str, expected: str | None) -> None:
    """`None`: it stays as it is, the very row."""
    row = Row(text, label="x")
    cleaned = clean(step, row=row)
    assert cleaned == Row(text if expected is None else expected, label="x")
    assert (cleaned is row) == (expected is None)


@given(TEXTS)
@example("\u0f71\u0f73\u0f72")
@example("a\u0f73\u0301")
def test_nfc_is_that_of_unicode(text: str) -> None:
    """In parts it is what the whole text's normal form is."""
    assert once("nfc", Row(text)).text == unicodedata.normalize("NFC", text)


@given(TEXTS)
def test_white_space_is_what_split_takes_for_it(text: str) -> None:
    """A text is its words with one space between."""
    assert once("collapse-white-space", Row(text)).text == " ".join(text.split())


@given(marked_texts(), STEPS)
@example(("a &amp; b", 2, 7), "unescape-html")
@example(("Cafe\u0301", 0, 5), "nfc")
def test_the_surface_afterwards_is_the_cleaned_surface(marked: tuple[str, int, int], step: str) -> None:
    """Of every text and span that is not refused: exactly, but for white space at the ends of spans that had some there."""
    text, start, end = marked
    row = Row(text, entities=(Span(start, end, "x"),))
    try:
        cleaned = once(step, row)
    except LineError:
        return
    alone = once(step, Row(text[start:end])).text
    if step == "collapse-white-space" and text[start:end] != text[start:end].strip():
        assert surface(cleaned).strip() == alone
    else:
        assert surface(cleaned) == alone
    assert cleaned.text == once(step, Row(text)).text  # the span does not change what becomes of the text


@given(marked_texts(), st.sets(STEPS, min_size=1))
def test_the_same_holds_for_all_passes_of_several_steps(
    marked: tuple[str, int, int], steps: frozenset[str]
) -> None:
    """White space at the ends of spans apart."""
    text, start, end = marked
    try:
        cleaned = clean(*steps, row=Row(text, entities=(Span(start, end, "x"),)))
    except LineError:
        return
    alone = clean(*steps, row=Row(text[start:end])).text
    assert surface(cleaned).strip() == alone.strip()


@given(marked_texts(), STEPS)
def test_a_span_is_refused_only_for_cause(marked: tuple[str, int, int], step: str) -> None:
    """An edit cuts it, or takes all of it that can be read."""
    text, start, end = marked
    edits = list(TEXT_STEPS[step](text))
    is_cut = any(edit.start < at < edit.end for edit in edits for at in (start, end))
    is_lost = text[start:end].strip() and not once(step, Row(text[start:end])).text.strip()
    row = Row(text, entities=(Span(start, end, "x"),))
    if is_cut or is_lost:
        with pytest.raises(LineError, match=step):
            once(step, row)
    else:
        once(step, row)


@given(TEXTS, STEPS)
def test_edits_rise_are_disjoint_and_change_something(text: str, step: str) -> None:
    """So that what needs no cleaning comes out as it is."""
    at = 0
    for edit in TEXT_STEPS[step](text):
        assert at <= edit.start < edit.end <= len(text)
        assert text[edit.start : edit.end] != edit.new
        at = edit.end


@given(TEXTS, st.sets(STEPS, min_size=1))
def test_cleaning_again_changes_nothing(text: str, steps: frozenset[str]) -> None:
    """The cleaned row comes out of the same steps as it is, and none counts it; tags apart that were escaped: they may be read but once."""
    with suppress(LineError):
        cleaned = clean(*steps, row=Row(text, label="x"))
        for step in steps:
            find = unescape_references if step == "unescape-html" else TEXT_STEPS[step]
            assert not list(find(cleaned.text))
        assume("unescape-html" not in steps or not list(unescape_html(cleaned.text)))
        again = Cleaning(steps)
        assert again.mend(cleaned) is cleaned
        assert {report.changed_count for report in again.reports()} == {0}


@given(marked_texts(), st.sets(STEPS))
@example(("if a<b> then <br/>", 4, 7), frozenset({"collapse-white-space"}))
def test_what_was_escaped_comes_back_as_it_was(marked: tuple[str, int, int], others: frozenset[str]) -> None:
    """Text and span, tags and all, whatever the other steps: those do to it what they do to a text that nobody escaped."""
    text, start, end = marked
    assume("&" not in text)  # of which references could be made
    before, inside, after = (html.escape(part) for part in (text[:start], text[start:end], text[end:]))
    span = Span(len(before), len(before) + len(inside), "x")
    row = Row(before + inside + after, entities=(span,))
    others = others - {"unescape-html"}
    plain = Row(text, entities=(Span(start, end, "x"),))
    try:
        expected = clean(*others, row=plain)
    except LineError:
        with pytest.raises(LineError):
            clean("unescape-html", *others, row=row)
    else:
        assert clean("unescape-html", *others, row=row) == expected


@given(TEXTS)
def test_a_row_in_order_is_not_touched(text: str) -> None:
    """Printable, composed, single spaces, no markup: the very row comes back."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    assume(text.isprintable() and not {"<", "&"} & set(text))
    row = Row(text, label="x")
    assert clean(*ALL, row=row) is row


@pytest.mark.parametrize(
    ("step", "text", "span", "words"),
    [
        (
            "unescape-html",
            "a &amp; b",
            (2, 4),
            "entities[0] begins or ends inside of what cleaning step unescape-html",
        ),
        (
            "unescape-html",
            "a <br> b",
            (2, 6),
            "entities[0] holds nothing but what cleaning step unescape-html",
        ),
        ("drop-control-characters", "a \x00\x01 b", (2, 4), "entities[0] holds nothing but"),
        ("nfc", "Cafe\u0301", (0, 4), "entities[0] begins or ends inside of what cleaning step nfc"),
    ],
)
def test_a_span_that_would_lose_its_meaning_is_told(
    step: str, text: str, span: tuple[int, int], words: str
) -> None:
    """It is never dropped in silence, and the text is not quoted."""
    with pytest.raises(LineError) as refused:
        clean(step, row=Row(text, entities=(Span(*span, "x"),)))
    assert words in str(refused.value)


@pytest.mark.parametrize("span", [(0, 0), (-1, 2), (0, 99), (3, 2)])
def test_a_span_outside_of_its_text_is_left_to_the_check(span: tuple[int, int]) -> None:
    """Nobody can say where it would go."""
    row = Row("a  &amp; b", entities=(Span(*span, "x"),))
    assert clean(*ALL, row=row) is row


def test_html_that_is_nested_without_end_is_refused() -> None:
    """Nine layers are taken off, a hundred are an attack on the time of the server."""
    assert clean("unescape-html", row=Row("&" + "amp;" * 9)).text == "&"
    with pytest.raises(LineError, match="nested too deep"):
        clean("unescape-html", row=Row("&" + "amp;" * 100))


def test_spans_move_with_the_edits_before_them() -> None:
    """Several spans, several edits: each surface is its own still."""
    row = Row("<b>Ada</b> &amp; Grace\r\n  Hopper", entities=(Span(3, 6, "p"), Span(17, 32, "p")))
    cleaned = clean(*ALL, row=row)
    assert cleaned.text == "Ada & Grace Hopper"
    assert cleaned.entities == (Span(0, 3, "p"), Span(6, 18, "p"))


def test_touching_edits_keep_positions_between_them() -> None:
    """A span may end where one edit ends and the next begins."""
    row = Row("abcd", entities=(Span(0, 2, "x"), Span(2, 4, "x")))
    assert edited(row, [Edit(0, 2, "A"), Edit(2, 4, "BCD")], step="any") == Row(
        "ABCD", entities=(Span(0, 1, "x"), Span(1, 4, "x"))
    )
