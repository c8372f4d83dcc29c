"""Windows side by side: right-padded arrays, and which windows to put together.

Invariant: padding is masked and on the right, as attention fusions assume; a batch's answers do not depend on it. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.runtime.windows import TokenIds, Window

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Padded windows: both arrays are (windows, longest window) int64."""

    input_ids: TokenIds
    attention_mask: npt.NDArray[np.int64]  # 1 where input_ids holds a token, 0 where it holds padding

    def feed(self, inputs: Sequence[str]) -> dict[str, npt.NDArray[np.int64]]:
        """Return the arrays of a graph's `inputs`, each one of INPUTS."""
        arrays = {"input_ids": self.input_ids, "attention_mask": self.attention_mask}
        if "token_type_ids" in inputs:
            arrays["token_type_ids"] = np.zeros_like(self.input_ids)
        return {name: arrays[name] for name in inputs}


def pad(windows: Sequence[Window], pad_id: int) -> Batch:
    """Put one or more windows into one batch, in their order."""
    shape = (len(windows), max(window.token_count for window in windows))
    input_ids, attention_mask = np.full(shape, pad_id, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for i, window in enumerate(windows):
        input_ids[i, : window.token_count] = window.token_ids
        attention_mask[i, : window.token_count] = 1
    return Batch(input_ids, attention_mask)


def batch_by_length(token_counts: Sequence[int], *, batch_tokens: int) -> list[list[int]]:
    """Group the indices of windows, longest first, so that no batch has over `batch_tokens` tokens, padding counted.

    A window that is longer than that goes alone.
    """
    batches: list[list[int]] = []
    room = 0
    for index in sorted(range(len(token_counts)), key=lambda i: -token_counts[i]):
        if room == 0:
            batches.append([])
            room = max(1, batch_tokens // token_counts[index])
        batches[-1].append(index)
        room -= 1
    return batches
