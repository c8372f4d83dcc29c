"""The text step that reads HTML as a browser would show it."""

import html
import re
from collections.abc import Iterator
from html.entities import html5
from typing import Final

from shared.data.cleaning.edits import Edit

# A tag whose attributes, if any, have values: in `if a <b and c> d` nothing is a tag.
_TAG: Final = (
    r"</?(?P<tag>p|br|div|span|a|b|i|strong|em|li|ul|td|tr|table|script)"
    r"(?:\s+[\w:-]+\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>=]+))*\s*/?>"
)
_REFERENCE: Final = r"&(?:(?P<name>[a-z][a-z0-9]{1,30})|#[0-9]{1,7}|#x[0-9a-f]{1,6});"
_MARKUP: Final = re.compile(f"{_TAG}|{_REFERENCE}", re.IGNORECASE)
_WITHIN_WORDS: Final = frozenset({"span", "a", "b", "i", "strong", "em"})  # the others part words
_LOST: Final = "\ufffd"


def unescape_html(text: str) -> Iterator[Edit]:
    """Take out HTML tags and write the characters that references such as `&amp;` stand for.

    A tag that parts words, such as `<br>`, leaves a space. What a script says, and references that stand for no character, stay.
    """
    for found in _MARKUP.finditer(text):
        if tag := found["tag"]:
            yield Edit(found.start(), found.end(), "" if tag.lower() in _WITHIN_WORDS else " ")
        else:
            yield from _read(found)


def unescape_references(text: str) -> Iterator[Edit]:
    """Write the characters that references stand for, and leave tags: those that come out of `&lt;b&gt;` are what somebody wrote."""
    for found in _MARKUP.finditer(text):
        if not found["tag"]:
            yield from _read(found)


def _read(reference: re.Match[str]) -> Iterator[Edit]:
    if reference["name"] is None or f"{reference['name']};" in html5:
        character = html.unescape(reference[0])
        if character != _LOST:
            yield Edit(reference.start(), reference.end(), character)
