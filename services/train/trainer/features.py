"""What the encoder makes of examples: one vector for each target.

A fine-tuning encoder computes them anew in every step. A frozen one computes them once, in eval mode (dropout off, so that the
cache says what serving will see), and only the vectors that are read are kept: one a window, or one a unit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from services.train.trainer.examples import Example
from services.train.trainer.network import Encoder, Reading
from shared.runtime.batches import batch_by_length, pad

EVALUATION_BATCH_TOKENS = 1024


def vectors_of(encoder: Encoder, reading: Reading, examples: Sequence[Example], pad_id: int) -> Tensor:
    """Return the vectors, (targets of all examples in order, width), that the head will read."""
    batch = pad([example.window for example in examples], pad_id)
    hidden: Tensor
    pooled: Tensor
    device = encoder.token_embeddings.device
    hidden, pooled = encoder(
        torch.from_numpy(batch.input_ids).to(device), torch.from_numpy(batch.attention_mask).to(device)
    )
    if reading == "pooled":
        return pooled
    counts = torch.tensor([len(example.rows) for example in examples])
    windows = torch.repeat_interleave(torch.arange(len(examples)), counts)
    rows = torch.from_numpy(np.concatenate([example.rows for example in examples]))
    return hidden[windows.to(device), rows.to(device)]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The vectors of many examples, one below the other; those of example i begin at `starts[i]`."""

    vectors: Tensor  # (targets, width), in main memory
    starts: tuple[int, ...]  # one more than there are examples

    def of(self, indices: Sequence[int]) -> Tensor:
        """The vectors of some examples, in their order."""
        spans = [torch.arange(self.starts[i], self.starts[i + 1]) for i in indices]
        return self.vectors[torch.cat(spans)]


def compute_features(
    encoder: Encoder,
    reading: Reading,
    examples: Sequence[Example],
    pad_id: int,
    *,
    on_done: Callable[[int], None] = lambda _: None,
) -> Features:
    """Run the encoder over all examples in eval mode. `on_done` hears how many examples each batch held."""
    starts = tuple(accumulate((len(example.targets) for example in examples), initial=0))
    vectors = torch.empty(starts[-1], encoder.width)
    encoder.eval()
    with torch.inference_mode():
        for batch in batch_by_length(
            [example.window.token_count for example in examples], batch_tokens=EVALUATION_BATCH_TOKENS
        ):
            computed = vectors_of(encoder, reading, [examples[i] for i in batch], pad_id)
            at = 0
            for i in batch:
                count = starts[i + 1] - starts[i]
                vectors[starts[i] : starts[i + 1]] = computed[at : at + count]
                at += count
            on_done(len(batch))
    return Features(vectors, starts)
