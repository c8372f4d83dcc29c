"""Text steps about characters: those that nobody typed, several ways to write one, and white space."""

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Final

from shared.data.cleaning.edits import Edit

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_WHITE: Final = re.compile(r"\s+")
_HANGUL_VOWELS_AND_TAILS: Final = (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))  # composed by arithmetic


def drop_control_characters(text: str) -> Iterator[Edit]:
    """Drop ASCII control characters but tab and line ends; of those that part words (form feed ...) a space is left.

    U+FFFD stays: it tells that a character was lost, and dropping it would only hide that.
    """
    for found in _CONTROL.finditer(text):
        yield Edit(found.start(), found.end(), " " if found[0].isspace() else "")


def nfc(text: str) -> Iterator[Edit]:
    """Write characters that can be written in several ways in one: Unicode's normal form NFC."""
    if unicodedata.is_normalized("NFC", text):
        return
    start = 0
    for at in range(1, len(text) + 1):
        if at == len(text) or _stands_alone(text[at]):
            composed = unicodedata.normalize("NFC", text[start:at])
            if composed != text[start:at]:
                yield Edit(start, at, composed)
            start = at


def collapse_white_space(text: str) -> Iterator[Edit]:
    """Make each run of white space, line ends too, one space, and leave none at the ends of the text."""
    for run in _WHITE.finditer(text):
        is_inside = run.start() > 0 and run.end() < len(text)
        for at in range(run.start(), run.end()):  # one by one, so that a span may begin or end anywhere
            new = " " if is_inside and at == run.start() else ""
            if new != text[at]:
                yield Edit(at, at + 1, new)


def _stands_alone(character: str) -> bool:
    """Tell of a character that normalisation never joins to, nor sorts among, what stands before it."""
    if character < "\u0300":
        return True
    first = unicodedata.normalize("NFD", character)[0]
    return not unicodedata.combining(first) and first not in _joining()


@cache
def _joining() -> frozenset[str]:
    """Characters that some character before them composes with, by the very tables that compose them."""
    pairs = (unicodedata.decomposition(chr(number)).split() for number in range(sys.maxunicode + 1))
    seconds = {chr(int(pair[1], 16)) for pair in pairs if len(pair) == 2 and not pair[0].startswith("<")}
    return frozenset(seconds.union(map(chr, _HANGUL_VOWELS_AND_TAILS)))
