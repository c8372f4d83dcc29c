"""Spans of entities that are probably not what was meant: those that cut a word, and mentions that were passed over."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from shared.data.inspection.findings import Finding, Kind, Placed, places
from shared.data.rows import Row

_LEAST_MARKED: Final = (
    5  # times that a surface is marked before its absence elsewhere is taken for an oversight
)
_MOSTLY: Final = 0.8  # share of its occurrences that are marked
_LEAST_CHARACTERS: Final = 3
_WORD: Final = re.compile(r"\w+")


def mentions(rows: Sequence[Placed]) -> Iterator[Finding]:
    """Look at the spans of all splits, if the rows are for entities."""
    rows = [placed for placed in rows if placed.row.entities is not None]
    cut = [placed for placed in rows if any(cuts_word(placed.row.text, at) for at in _edges(placed.row))]
    if cut:
        yield Finding(
            Kind.CUT_WORD,
            "an entity begins or ends inside a word; often all offsets of such a row are off by one, or count bytes: mend them; the cleaning step `snap-spans` mends those that are off by one",
            len(cut),
            places(cut),
        )
    passed_over = list(_passed_over(rows))
    if passed_over:
        yield Finding(
            Kind.UNMARKED_MENTION,
            "a word that is nearly always an entity elsewhere is none here: mark it, or leave it if it means something else",
            len(passed_over),
            places(passed_over),
        )


def _edges(row: Row) -> Iterator[int]:
    for span in row.entities or ():
        yield span.start
        yield span.end


def cuts_word(text: str, at: int) -> bool:
    """Tell whether `at` lies between two letters or digits of a script that parts words: in Thai or Chinese it may."""
    return 0 < at < len(text) and _parts_words(text[at - 1]) and _parts_words(text[at])


def _parts_words(character: str) -> bool:
    """Tell of letters and digits below U+0E00, whose scripts write spaces between words."""
    return character.isalnum() and ord(character) < 0x0E00


def _passed_over(rows: Sequence[Placed]) -> Iterator[Placed]:
    """Yield rows that have a single-word surface unmarked which is marked in nearly all others."""
    marked: Counter[str] = Counter()
    unmarked: dict[str, list[Placed]] = defaultdict(list)
    for placed in rows:
        row = placed.row
        spans = row.entities or ()
        covered = {at for span in spans for at in range(span.start, span.end)}
        marked.update(row.text[span.start : span.end].casefold() for span in spans)
        for word in _WORD.finditer(row.text):
            if word.start() not in covered and len(word[0]) >= _LEAST_CHARACTERS:
                unmarked[word[0].casefold()].append(placed)
    doubtful = {
        id(placed): placed
        for surface, count in marked.items()
        if count >= _LEAST_MARKED and count >= _MOSTLY * (count + len(unmarked.get(surface, ())))
        for placed in unmarked.get(surface, ())
    }
    return iter(sorted(doubtful.values(), key=lambda placed: (placed.split, placed.number)))
