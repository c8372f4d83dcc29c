"""How far chance reaches: intervals of a metric, and of the difference between two versions on the same rows.

Both are percentile bootstraps over rows (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13), drawn with a fixed
seed, so that the same answers give the same interval. Rows are drawn whole: the labels or spans of one text are not independent.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from shared.scoring.outcomes import Outcomes, metric_of

CONFIDENCE: Final = 0.95
_RESAMPLES: Final = 1000
_AT_ONCE: Final = 50  # bounds the memory: so many weights for each row
_TAILS: Final = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)


def interval(rows: Outcomes) -> tuple[float, float]:
    """Return the bounds of the metric that 95 % of resamples lie between; of no rows, (0, 1)."""
    if not len(rows):
        return 0.0, 1.0
    low, high = np.quantile(metric_of(_resampled(rows)), _TAILS)
    return float(low), float(high)


def difference(one: Outcomes, other: Outcomes) -> tuple[float, float, float]:
    """Return how much better `one` is than `other` on the same rows, and the bounds of that: paired, so that rows that both find hard cancel."""
    gain = float(metric_of(one.sum(axis=0)) - metric_of(other.sum(axis=0)))
    if not len(one):
        return gain, -1.0, 1.0
    drawn = _resampled(np.concatenate([one, other], axis=1))
    low, high = np.quantile(metric_of(drawn[:, :3]) - metric_of(drawn[:, 3:]), _TAILS)
    return gain, float(low), float(high)


def _resampled(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return (resamples, columns): the sums of as many rows as there are, drawn with replacement."""
    random = np.random.default_rng(0)
    shares = np.full(len(rows), 1 / len(rows))
    return np.concatenate(
        [random.multinomial(len(rows), shares, size=_AT_ONCE) @ rows for _ in range(_RESAMPLES // _AT_ONCE)]
    )
