"""Windows and texts that the gate runs besides the validation set: of every length, out of what validation texts hold. Pure."""

from collections.abc import Sequence
from functools import cached_property
from itertools import cycle
from typing import Final, TypeVar

import numpy as np

from shared.runtime.model import EncodedText
from shared.runtime.reader import TextReader
from shared.runtime.windows import Window

ODD_TEXTS: Final = (  # what tokenizers differ in
    "Ünïcödé Straße ÅNGSTRÖM ﬁ",
    "[CLS] [SEP] <s> </s> <unk>",
    "日本語のテキスト และ ไทย",
    "a\u0301 e\u0301\u0327 👩‍🚀 🏳️‍🌈",
    "tab\tline\r\nend\u00a0nbsp\u200bzero",
    "don't re-enter 3,141.59€ x@y.zz #tag",
)
_SAMPLE: Final = 48  # validation windows for the checks that run each window several times
_SAMPLED_LENGTHS: Final = 16  # beside them, so that few or uniform validation texts make mixed batches too

T = TypeVar("T")


class Probes:
    """Made of encoded validation texts, at least one."""

    def __init__(self, reader: TextReader, encoded: Sequence[EncodedText]) -> None:
        self._reader = reader
        self._texts = encoded
        self._windows = [window for text in encoded for window in text.windows]

    @cached_property
    def sample(self) -> list[Window]:
        """Validation windows of every length there is, and made ones from the shortest to half of the longest possible."""
        ranked = sorted(self._windows, key=lambda window: window.token_count)
        lengths = [each for each in self.lengths if 2 * each <= self._reader.max_tokens]
        return [
            *_spread(ranked, _SAMPLE),
            *(self.window_of(length) for length in _spread(lengths, _SAMPLED_LENGTHS)),
        ]

    @cached_property
    def lengths(self) -> list[int]:
        """Numbers of tokens from the fewest to the most: each of the small ones, then those about every power of two."""
        tokenizer, most = self._reader.tokenizer, self._reader.max_tokens
        least = len(tokenizer.prefix) + len(tokenizer.suffix) + 1
        edges = {2**k + d for k in range(4, 14) for d in (-1, 0, 1)}
        return sorted(length for length in {*range(least, 17), *edges, most} if least <= length <= most)

    @property
    def long_text(self) -> str:
        """Validation texts in a row, enough for several windows."""
        wanted = 3 * self._reader.max_tokens
        texts, tokens = [], 0
        for each in cycle(self._texts):
            texts.append(each.text)
            tokens += max(1, sum(window.content_count for window in each.windows))
            if tokens >= wanted:
                break
        return " ".join(texts)

    def window_of(self, length: int) -> Window:
        """A window of exactly `length` tokens, its content taken from validation texts."""
        tokenizer = self._reader.tokenizer
        content = np.concatenate(
            [w.token_ids[w.content_row : w.content_row + w.content_count] for w in self._windows]
        )
        inner = length - len(tokenizer.prefix) - len(tokenizer.suffix)
        ids = np.concatenate((tokenizer.prefix, np.resize(content, inner), tokenizer.suffix)).astype(np.int64)
        return Window(ids, 0, inner, len(tokenizer.prefix))


def _spread(ranked: Sequence[T], most: int) -> list[T]:
    """Take up to `most` of `ranked`, evenly, the first and the last among them."""
    places = np.linspace(0, len(ranked) - 1, min(most, len(ranked))).round().astype(int)
    return [ranked[i] for i in places]
