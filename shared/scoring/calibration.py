"""Whether scores mean what they say: of answers with a score of 0.8, eight in ten should be right."""

from typing import Final

import numpy as np
import numpy.typing as npt

from shared.store.evaluation import ReliabilityBin

_NEAR: Final = 1e-15  # to 0 and to 1
BINS: Final = 15  # of equal width, as in arXiv:1706.04599


def reliability(scores: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Return the bins that have answers; both arrays are (answers,), scores in [0, 1]."""
    bins = np.minimum((scores * BINS).astype(int), BINS - 1)
    return tuple(
        ReliabilityBin(
            count=int(mine.sum()),
            mean_score=float(scores[mine].mean()),
            share_right=float(right[mine].mean()),
        )
        for mine in (bins == number for number in range(BINS))
        if mine.any()
    )


def without_temperature(
    scores: npt.NDArray[np.float64], temperature: float, *, several: bool
) -> npt.NDArray[np.float64]:
    """Return the scores that the same logits would have had undivided; `scores` is (texts, labels), all labels of each text.

    `several`: each score stands for itself; else a text's scores sum to 1.
    """
    if several:
        inside = np.clip(scores, _NEAR, 1 - _NEAR)
        odds = (inside / (1 - inside)) ** temperature
        return np.asarray(odds / (1 + odds))
    logs = np.log(np.maximum(scores, np.finfo(np.float64).tiny))
    raised = np.exp(temperature * (logs - logs.max(axis=1, keepdims=True)))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Return the expected calibration error, [0, 1]: the mean distance of score and share over all answers (arXiv:1706.04599, equation 3)."""
    total = sum(each.count for each in bins)
    return sum(each.count * abs(each.mean_score - each.share_right) for each in bins) / max(1, total)
