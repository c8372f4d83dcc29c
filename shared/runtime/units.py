"""Units: what gets one tag. Words of the text joined with the tokens that the model saw.

A token covers the words that its offsets overlap; words that share a token are one unit; a unit is tagged at its first token;
words without a token have no unit but may lie inside a span. Training labels and served answers both go through here. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.runtime.words import words

Indices = npt.NDArray[np.int64]
Range = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """The units of one text, in its order."""

    spans: tuple[Range, ...]  # code points [start, end); rising, disjoint
    tokens: Indices  # (units,) the content token at which each is tagged

    def __len__(self) -> int:
        return len(self.spans)

    @property
    def starts(self) -> Indices:
        """(units,) first code point of each."""
        return np.array([start for start, _ in self.spans], dtype=np.int64)

    @property
    def ends(self) -> Indices:
        """(units,) one past the last code point of each."""
        return np.array([end for _, end in self.spans], dtype=np.int64)


def find_units(text: str, offsets: Sequence[Range]) -> Units:
    """Join the words of `text` with its content tokens, given by their `offsets` in code points."""
    return join_words(words(text), offsets)


def join_words(spans: Sequence[Range], offsets: Sequence[Range]) -> Units:
    """Join words, rising and disjoint, with tokens; see the module. Empty tokens cover nothing.

    Plain loops: for the dozen words of a usual text they are several times faster than arrays.
    """
    units: list[Range] = []
    tokens: list[int] = []
    word = 0  # the first that ends after the token's start
    last = -1  # the last word of the newest unit
    # Tokens rise already, and then sorting is one glance; some normalizers may reorder marks.
    for token in sorted(range(len(offsets)), key=offsets.__getitem__):
        start, end = offsets[token]
        while word < len(spans) and spans[word][1] <= start:
            word += 1
        if start == end or word == len(spans) or spans[word][0] >= end:
            continue
        joins = word <= last
        last = max(last, word)
        while last + 1 < len(spans) and spans[last + 1][0] < end:
            last += 1
        if joins:
            units[-1] = (units[-1][0], spans[last][1])
        else:
            units.append((spans[word][0], spans[last][1]))
            tokens.append(token)
    return Units(tuple(units), np.array(tokens, dtype=np.int64))
