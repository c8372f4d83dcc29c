"""How far chance reaches: intervals of a metric, and of the difference between two versions on the same rows.

Of one label a text the metric is a share of rows, whose interval is Wilson's score interval (1927): it holds for few rows too, and where
all of them are right. Others, and differences, are percentile bootstraps over rows (Efron and Tibshirani, "An Introduction to the
Bootstrap", 1993, chapter 13), drawn with a fixed seed, so that the same answers give the same interval. Rows are drawn whole: the labels or
spans of one text are not independent. A bootstrap knows no rows but those that there are, so that of few it says less than it should.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from shared.scoring.outcomes import Outcomes, metric_of

CONFIDENCE: Final = 0.95
FEWEST_ROWS: Final = 10  # that a bootstrap is made of
_RESAMPLES: Final = 1000
_AT_ONCE: Final = 50  # bounds the memory: so many weights for each row
_TAILS: Final = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)


def interval(rows: Outcomes) -> tuple[float, float]:
    """Return the bounds of the metric's 95 % interval; (0, 1) where there is too little to tell.

    Of one label a row it is Wilson's. Of sets it is that of FEWEST_ROWS rows or more; where all of them are right, or none has anything
    right, resamples cannot vary, and it is Wilson's of rows.
    """
    telling = rows[rows[:, 1:].any(axis=1)]  # with nothing given and nothing wanted, a row moves no metric
    if not len(telling):
        return 0.0, 1.0
    metric = float(metric_of(telling.sum(axis=0)))
    if (telling[:, 1:] == 1).all():
        return _wilson(int(telling[:, 0].sum()), len(telling))
    if len(telling) < FEWEST_ROWS:
        return 0.0, 1.0
    if metric in (0, 1):
        return _wilson(int(metric) * len(telling), len(telling))
    low, high = np.quantile(metric_of(_resampled(rows)), _TAILS)
    return float(low), float(high)


def difference(one: Outcomes, other: Outcomes) -> tuple[float, float, float]:
    """Return how much better `one` is than `other` on the same rows, and the bounds of that: paired, so that rows that both find hard cancel.

    Of fewer than FEWEST_ROWS rows the bounds are (-1, 1). Where no row is answered otherwise they are (0, 0).
    """
    gain = float(metric_of(one.sum(axis=0)) - metric_of(other.sum(axis=0)))
    if len(one) < FEWEST_ROWS:
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


def _wilson(right: int, count: int) -> tuple[float, float]:
    """Return Wilson's interval of the share of `count` rows that are `right`."""
    bounds = binomtest(right, count).proportion_ci(CONFIDENCE, method="wilson")
    return float(bounds.low), float(bounds.high)
