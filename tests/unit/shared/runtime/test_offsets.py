"""Offsets: one place in a text, three ways to count it."""

from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.offsets import boundaries, convert
from tests.unit.shared.runtime.texts import any_text


def utf8_slice(text: str, start: int, end: int) -> str:
    return text.encode("utf-8")[start:end].decode("utf-8")


def utf16_slice(text: str, start: int, end: int) -> str:
    return text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le")


@given(any_text, st.data())
def test_a_slice_in_any_unit_is_the_surface(text: str, data: st.DataObject) -> None:
    """`text[start:end] == surface` in code points, UTF-8 bytes and UTF-16 code units, for every span of every text."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    surface = text[start:end]
    ((start_8, end_8),) = convert(text, [(start, end)], "UTF8_BYTES")
    ((start_16, end_16),) = convert(text, [(start, end)], "UTF16_CODE_UNITS")
    assert convert(text, [(start, end)], "UNICODE_CODE_POINTS") == [(start, end)]
    assert utf8_slice(text, start_8, end_8) == surface
    assert utf16_slice(text, start_16, end_16) == surface


@given(any_text)
def test_boundaries_reach_from_end_to_end(text: str) -> None:
    """There is one boundary more than code points; the first is 0 and the last the text's length in the unit."""
    for unit, length in (
        ("UNICODE_CODE_POINTS", len(text)),
        ("UTF8_BYTES", len(text.encode("utf-8"))),
        ("UTF16_CODE_UNITS", len(text.encode("utf-16-le")) // 2),
    ):
        places = list(boundaries(text, unit))
        assert (len(places), places[0], places[-1]) == (len(text) + 1, 0, length)
        assert places == sorted(set(places))


def test_known_widths() -> None:
    """A letter, an accented letter, a Han character and an emoji are 1, 2, 3, 4 bytes and 1, 1, 1, 2 UTF-16 units."""
    text = "aé漢👍"
    assert list(boundaries(text, "UTF8_BYTES")) == [0, 1, 3, 6, 10]
    assert list(boundaries(text, "UTF16_CODE_UNITS")) == [0, 1, 2, 3, 5]


def test_no_spans_cost_nothing() -> None:
    """Without spans nothing is converted."""
    assert convert("漢" * 10, [], "UTF8_BYTES") == []
