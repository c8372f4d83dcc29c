"""Long texts as overlapping windows of token ids.

Owns: where windows begin and end. Invariant: the windows of a text cover every content token, in order; neighbours share
exactly `stride_tokens`, and none is longer than `max_tokens`. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TokenIds = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What the model reads at once: content tokens [start, end) of a text between the special tokens."""

    token_ids: TokenIds  # (token_count,), special tokens included
    start: int  # first content token, counted in the text
    end: int  # one past the last
    content_row: int  # where content token `start` stands in token_ids, and in the rows of token logits

    @property
    def token_count(self) -> int:
        """Tokens that the model reads, special tokens included; at least 1."""
        return len(self.token_ids)

    @property
    def content_count(self) -> int:
        """Tokens of the text itself; 0 for a text that has none."""
        return self.end - self.start


def window_ranges(token_count: int, *, longest_tokens: int, stride_tokens: int) -> list[tuple[int, int]]:
    """Cut `token_count` content tokens into [start, end) of at most `longest_tokens`; one empty range if there are none.

    Raises ValueError if windows could not move forward (0 <= stride_tokens < longest_tokens).
    """
    if not 0 <= stride_tokens < longest_tokens:
        raise ValueError(
            f"a stride of {stride_tokens} does not fit windows of {longest_tokens} content tokens"
        )
    step = longest_tokens - stride_tokens
    last_start = max(0, token_count - longest_tokens)
    count = 1 + -(-last_start // step)
    return [(k * step, min(k * step + longest_tokens, token_count)) for k in range(count)]


def cut_windows(
    content_ids: TokenIds,
    *,
    prefix: Sequence[int],
    suffix: Sequence[int],
    pad_id: int,
    max_tokens: int,
    stride_tokens: int,
) -> tuple[Window, ...]:
    """Put the special ids around every range of `content_ids`.

    A window that would be empty (no content, and a tokenizer without special tokens) holds one `pad_id`: models need a token.
    """
    head, tail = np.array(prefix, dtype=np.int64), np.array(suffix, dtype=np.int64)
    ranges = window_ranges(
        len(content_ids), longest_tokens=max_tokens - len(head) - len(tail), stride_tokens=stride_tokens
    )
    windows = []
    for start, end in ranges:
        token_ids = np.concatenate((head, content_ids[start:end], tail))
        if not len(token_ids):
            token_ids = np.array([pad_id], dtype=np.int64)
        windows.append(Window(token_ids, start, end, len(head)))
    return tuple(windows)
