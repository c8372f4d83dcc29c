"""Words: where entities may begin and end."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.words import words


def surfaces(text: str) -> list[str]:
    return [text[start:end] for start, end in words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pay 25.50 EUR, now!", ["Pay", "25", ".", "50", "EUR", ",", "now", "!"]),
        ("e-mail_me", ["e", "-", "mail", "_", "me"]),
        ("Zu\u0308rich Zürich", ["Zu\u0308rich", "Zürich"]),
        ("東京都へ行く", ["東", "京", "都", "へ", "行", "く"]),
        ("か\u3099ん", ["か\u3099", "ん"]),
        ("กรุงเทพ", ["ก", "รุ", "ง", "เ", "ท", "พ"]),
        ("서울시 \u1109\u1165\u110b\u116e\u11af", ["서울시", "\u1109\u1165\u110b\u116e\u11af"]),
        ("هذا بيت", ["هذا", "بيت"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("שלום\u200f!", ["שלום", "!"]),
        ("a👩\u200d👩\u200d👧b", ["a", "👩\u200d👩\u200d👧", "b"]),
        ("👍🏽❤\ufe0f🇩🇪🇫🇷", ["👍🏽", "❤\ufe0f", "🇩🇪", "🇫🇷"]),
        ("a\tb\r\nc\0d", ["a", "b", "c", "d"]),
        ("co\u00adop zero\u200bwidth", ["co\u00adop", "zero", "width"]),
        ("\u200d\u200e \u2060", []),
        ("\u0301 a", ["\u0301", "a"]),
        ("", []),
    ],
)
def test_words_of_scripts(text: str, expected: list[str]) -> None:
    """Words follow the writing: runs where scripts put spaces, single letters where they do not, marks with their letter."""
    assert surfaces(text) == expected


@given(st.text())
def test_words_rise_and_never_touch_white_space(text: str) -> None:
    """Of any text, words rise, are disjoint and not empty, and hold no white space."""
    position = 0
    for start, end in words(text):
        assert position <= start < end
        assert not any(character.isspace() for character in text[start:end])
        position = end


@given(st.text())
def test_every_visible_character_is_in_a_word(text: str) -> None:
    """Only separators, controls and invisible format characters lie outside all words."""
    covered = {i for start, end in words(text) for i in range(start, end)}
    left_out = {text[i] for i in range(len(text)) if i not in covered}
    assert {
        c
        for c in left_out
        if unicodedata.category(c)[0] != "Z" and unicodedata.category(c) not in ("Cc", "Cf")
    } == set()


@given(st.text(alphabet="a\u0301漢か\u3099👩\u200d\ufe0f🏽 !"))
def test_marks_stay_with_their_letter(text: str) -> None:
    """No word but one at the beginning of a line of writing begins with a combining mark."""
    for start, _ in words(text):
        if unicodedata.category(text[start]) == "Mn":
            assert start == 0 or text[start - 1] in " \u200d"
