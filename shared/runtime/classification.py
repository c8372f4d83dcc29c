"""Logits to label scores. Pure: numpy and nothing else."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from shared.runtime.windows import Window

Logits = npt.NDArray[np.float32]


class LabelScore(NamedTuple):
    """A label and its probability, [0, 1]. A tuple, as they are made by the ten thousand."""

    label: str
    score: float


def pool_windows(windows: Sequence[Window], logits: Sequence[Logits]) -> npt.NDArray[np.float64]:
    """Return the mean of the windows' logits, each (labels,), weighted by their content tokens."""
    if len(logits) == 1:
        return logits[0].astype(np.float64)
    weights = [window.content_count for window in windows]
    return np.asarray(np.average(np.stack(logits).astype(np.float64), axis=0, weights=weights))


def rank_labels(
    labels: Sequence[str], logits: npt.NDArray[np.floating], *, temperature: float
) -> list[LabelScore]:
    """Return every label by falling softmax score, ties in the order of `labels`. `logits` is (labels,)."""
    exponents = np.exp((logits - logits.max()).astype(np.float64) / temperature)
    scores: list[float] = (exponents / exponents.sum()).tolist()
    order = sorted(range(len(labels)), key=scores.__getitem__, reverse=True)
    return [LabelScore(labels[i], scores[i]) for i in order]
