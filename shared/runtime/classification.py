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


def pool_windows(windows: Sequence[Window], logits: Sequence[Logits]) -> npt.NDArray[np.floating]:
    """Return the mean of the windows' logits, each (labels,), weighted by their content tokens."""
    if len(logits) == 1:
        return logits[0]
    weights = [window.content_count for window in windows]
    return np.asarray(np.average(np.stack(logits).astype(np.float64), axis=0, weights=weights))


def rank_labels(
    labels: Sequence[str],
    logits: npt.NDArray[np.floating],
    *,
    temperature: float,
    unknown_below: float | None,
    top_k: int = 0,
) -> list[list[LabelScore]]:
    """Return of each text the `top_k` labels (0: all) by falling softmax score, ties in the order of `labels`.

    The first is given, unless its score is below `unknown_below`; `logits` is (texts, labels).
    """
    enough = unknown_below or 0.0
    exponents = logits.astype(np.float64)
    exponents -= exponents.max(axis=1, keepdims=True)
    exponents /= temperature
    np.exp(exponents, out=exponents)
    exponents /= exponents.sum(axis=1, keepdims=True)
    return [
        [
            LabelScore(labels[i], score, rank == 0 and score >= enough)
            for rank, (i, score) in enumerate(of_text)
        ]
        for of_text in _ranked(exponents, top_k)
    ]


def rank_label_set(
    labels: Sequence[str],
    logits: npt.NDArray[np.floating],
    *,
    temperature: float,
    thresholds: Sequence[float],
    top_k: int = 0,
) -> list[list[LabelScore]]:
    """Return of each text the `top_k` labels (0: all) by falling sigmoid score, ties in the order of `labels`; those from their
    threshold on are given. `logits` is (texts, labels).
    """
    return [
        [LabelScore(labels[i], score, score >= thresholds[i]) for i, score in of_text]
        for of_text in _ranked(sigmoid(logits / temperature), top_k)
    ]


def _ranked(scores: npt.NDArray[np.float64], top_k: int) -> list[list[tuple[int, float]]]:
    """Return of each row the columns with the highest scores, and these, by falling score."""
    if top_k == 1:
        best = scores.argmax(axis=1).tolist()
        return [[(i, scores.item(row, i))] for row, i in enumerate(best)]
    order = np.argsort(-scores, axis=1, kind="stable")[:, : top_k or None]
    ranked = np.take_along_axis(scores, order, axis=1)
    return [list(zip(*of_text, strict=True)) for of_text in zip(order.tolist(), ranked.tolist(), strict=True)]


def sigmoid(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits.astype(np.float64))))
