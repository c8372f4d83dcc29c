"""Logits to label scores. Pure: numpy and nothing else."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from shared.runtime.windows import Window

Logits = npt.NDArray[np.float32]


class LabelScore(NamedTuple):
    """A label, its probability, [0, 1], and whether the version gives it. A tuple, as they are made by the ten thousand."""

    label: str
    score: float
    is_given: bool


def pool_windows(windows: Sequence[Window], logits: Sequence[Logits]) -> npt.NDArray[np.float64]:
    """Return the mean of the windows' logits, each (labels,), weighted by their content tokens."""
    if len(logits) == 1:
        return logits[0].astype(np.float64)
    weights = [window.content_count for window in windows]
    return np.asarray(np.average(np.stack(logits).astype(np.float64), axis=0, weights=weights))


def rank_labels(
    labels: Sequence[str], logits: npt.NDArray[np.floating], *, temperature: float
) -> list[LabelScore]:
    """Return every label by falling softmax score, ties in the order of `labels`; the first is given. `logits` is (labels,)."""
    exponents = np.exp((logits - logits.max()).astype(np.float64) / temperature)
    scores: list[float] = (exponents / exponents.sum()).tolist()
    order = sorted(range(len(labels)), key=scores.__getitem__, reverse=True)
    return [LabelScore(labels[i], scores[i], rank == 0) for rank, i in enumerate(order)]


def rank_label_set(
    labels: Sequence[str], logits: npt.NDArray[np.floating], *, thresholds: Sequence[float]
) -> list[LabelScore]:
    """Return every label by falling sigmoid score, ties in the order of `labels`; those from their threshold on are given."""
    scores: list[float] = sigmoid(logits).tolist()
    order = sorted(range(len(labels)), key=scores.__getitem__, reverse=True)
    return [LabelScore(labels[i], scores[i], scores[i] >= thresholds[i]) for i in order]


def sigmoid(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64))))
