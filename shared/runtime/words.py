"""Words of a raw text, the same for every tokenizer: entities begin and end where words do.

A word is a run of letters and digits of scripts that put spaces between words; each letter of scripts that do not (Han, kana,
Thai, Lao, Khmer, Myanmar ...) by itself; every other visible character by itself. Combining marks, emoji modifiers and joined
emoji stay with what they modify. White space and invisible characters never begin or end a word. Pure.
"""

import re
import unicodedata

_SPACELESS_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19FF),  # Tai Le, New Tai Lue, Khmer symbols
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x2E80, 0x312F),  # Han radicals, kana, Bopomofo
    (0x31A0, 0x31FF),  # Bopomofo and kana extensions
    (0x3400, 0x4DBF),  # Han extension A
    (0x4E00, 0xA4CF),  # Han, Yi
    (0xA9E0, 0xA9FF),  # Myanmar extended B
    (0xAA60, 0xAADF),  # Myanmar extended A, Tai Viet
    (0xF900, 0xFAFF),  # Han compatibility
    (0xFF66, 0xFF9F),  # half-width kana
    (0x11700, 0x1174F),  # Ahom
    (0x1AFF0, 0x1B16F),  # kana supplements
    (0x20000, 0x3FFFF),  # Han extensions B and later
)
_ZERO_WIDTH_SPACE, _ZERO_WIDTH_JOINER = "\u200b", "\u200d"

# Every code point is read as one letter for its kind: w word letter or digit, c letter that is a word alone, m mark,
# j joiner, f other invisible format character, r regional indicator (two make a flag), o other visible, s separator.
_WORD = re.compile("w(?:[mjf]*[wm])*|c(?:[mjf]*m)*|rr?|o(?:m|jo)*|m+")


def _kind(character: str) -> str:
    number, category = ord(character), unicodedata.category(character)
    if character == _ZERO_WIDTH_JOINER:
        return "j"
    if 0x1F3FB <= number <= 0x1F3FF or 0xE0020 <= number <= 0xE007F:  # skin tones, tags of sub-regional flags
        return "m"
    if 0x1F1E6 <= number <= 0x1F1FF:
        return "r"
    if category[0] == "M":
        return "m"
    if category[0] == "Z" or category == "Cc" or character == _ZERO_WIDTH_SPACE:
        return "s"
    if category == "Cf":
        return "f"
    if category[0] in "LN":
        alone = category != "Nd" and any(first <= number <= last for first, last in _SPACELESS_RANGES)
        return "c" if alone else "w"
    return "o"


class _Kinds(dict[int, str]):
    """Kinds of the code points seen so far: a table for str.translate that fills itself, up to a bound."""

    MOST_KEPT = 20_000

    def __missing__(self, number: int) -> str:
        kind = _kind(chr(number))
        if len(self) < self.MOST_KEPT:
            self[number] = kind
        return kind


_KINDS = _Kinds()


def words(text: str) -> list[tuple[int, int]]:
    """Return the words of `text` as [start, end) in code points, rising, disjoint, none empty."""
    return [match.span() for match in _WORD.finditer(text.translate(_KINDS))]
