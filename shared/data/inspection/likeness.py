"""Which texts are the same to a reader, and which nearly are.

Texts are the same if their letters and digits are: case, spacing and punctuation apart. They are nearly the same if the sets of
their 5-grams of characters have a Jaccard similarity of NEAR or more; candidates come from MinHash with locality-sensitive hashing
(Broder 1997), and each is then measured, so that none is said to be near that is not; some that are near may be missed.
"""

import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from typing import Final

from datasketch import MinHash, MinHashLSH

from shared.data.rows import Row

NEAR: Final = 0.8
_CANDIDATE: Final = 0.7  # lower than NEAR, as candidates are found by an estimate
_GRAM: Final = 5
_ENOUGH_ALIKE: Final = 8
_SHORTEST: Final = 20  # code points; one word makes shorter texts near that mean different things
_PERMUTATIONS: Final = 64
_BETWEEN_WORDS: Final = re.compile(r"[\W_]+")
# What parts the words of a label; a dash does between letters only, as -1 is not 1.
_BETWEEN_LABEL_WORDS: Final = re.compile(r"(?<=\w)[\s_]+(?=\w)|(?<=[^\W\d_])[\u2010-\u2015-](?=[^\W\d_])")


def canonical(text: str) -> str:
    """Return what two texts share that are the same; of nothing but punctuation, all of it."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _BETWEEN_WORDS.sub(" ", folded).strip() or text.strip()


def folded_label(label: str) -> str:
    """Return what two labels share that differ by case, by how Unicode writes them, by what parts their words, or by a full stop at the end only.

    Narrower than `canonical`, since every other sign may tell labels apart: C, C++ and C# are three.
    """
    folded = unicodedata.normalize("NFKC", label).casefold()
    return _BETWEEN_LABEL_WORDS.sub(" ", folded).rstrip(" .").lstrip() or label


def answer(row: Row) -> tuple[object, ...]:
    """Return what is learnt from a row, whatever the case and spacing of its text: of entities, what stands before each, its surface and its label."""
    if row.entities is None:
        return (row.label, row.label_set)
    return tuple(
        (canonical(row.text[: span.start]), canonical(row.text[span.start : span.end]), span.label)
        for span in sorted(row.entities)
    )


def near_pairs(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the places, rising, of different canonical texts that are nearly the same.

    Of texts from one template only the first stand for all: thousands of them are no millions of pairs.
    """
    index = MinHashLSH(threshold=_CANDIDATE, num_perm=_PERMUTATIONS)
    grams: dict[int, frozenset[str]] = {}
    for number, text in enumerate(texts):
        if len(text) < _SHORTEST:
            continue
        mine = grams[number] = frozenset(text[at : at + _GRAM] for at in range(len(text) - _GRAM + 1))
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=1, hashfunc=zlib.crc32)
        sketch.update_batch([gram.encode() for gram in mine])
        near = [
            other
            for other in sorted(index.query(sketch))
            if len(mine & grams[other]) >= NEAR * len(mine | grams[other])
        ]
        yield from ((other, number) for other in near)
        if len(near) < _ENOUGH_ALIKE:
            index.insert(number, sketch)
