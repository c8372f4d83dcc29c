"""Which examples learn together.

Windows of like length go into one batch, because padding is the great waste on a CPU, but which examples meet, and the order of
the batches, is drawn anew each epoch. Pure: the randomness is an argument.
"""

from collections.abc import Sequence

import numpy as np

_BATCHES_SORTED_TOGETHER = 32  # enough to find like lengths, few enough that batches differ between epochs


def training_batches(lengths: Sequence[int], batch_size: int, random: np.random.Generator) -> list[list[int]]:
    """Return every index of `lengths` once, in batches of `batch_size` (the last one drawn may be smaller)."""
    order = random.permutation(len(lengths))
    pool = batch_size * _BATCHES_SORTED_TOGETHER
    batches = []
    for start in range(0, len(order), pool):
        drawn = sorted(order[start : start + pool].tolist(), key=lambda i: lengths[i])
        batches += [drawn[i : i + batch_size] for i in range(0, len(drawn), batch_size)]
    return [batches[i] for i in random.permutation(len(batches))]
