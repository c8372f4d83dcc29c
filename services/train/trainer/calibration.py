"""Scores that mean what they say: a temperature for the logits, and a score below which a text belongs to no label.

Both are fitted on validation logits, after the weights are chosen. A temperature changes no decision between labels; it is one number,
so that the split which also stopped the training is enough to fit it (arXiv:1706.04599). What it is worth is measured on test.

Enough is FEWEST_CALIBRATED_ROWS. Of logits that are honest as they are, and right in six to seven of ten, the fitted temperature should be 1; drawn
anew 300 times it lies, nine times of ten, within 1.4 and 4.8 on 2 rows, 0.8 and 1.7 on 20, 0.8 and 1.4 on 50, 0.9 and 1.2 on 200: fewer rows
would rather spoil honest scores than mend others.
"""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax

Logits = npt.NDArray[np.floating]
Targets = npt.NDArray[np.integer] | npt.NDArray[np.bool_]

_RANGE: Final = (0.05, 20.0)  # of a temperature: beyond these a split says no more than that it is too small


def fit_temperature(logits: Logits, targets: Targets) -> float:
    """Return the temperature with the least negative log-likelihood of `targets`, and of one more that may be anything.

    That one (Platt, "Probabilistic outputs for support vector machines", 1999, has two) keeps a small split which is answered rightly
    throughout from calling for scores of 1. `logits` is (targets, outputs). `targets` is (targets,), the true output of each, or (targets, outputs), whether each is true.
    """
    exact = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled = exact / np.exp(log_temperature)
        return len(targets) * negative_log_likelihood(scaled, targets) + _anything(scaled, targets)

    low, high = np.log(_RANGE)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def negative_log_likelihood(logits: npt.NDArray[np.float64], targets: Targets) -> float:
    """Return the mean over all targets, in nats; shapes as for fit_temperature."""
    if targets.ndim == 2:
        return float(-log_expit(np.where(targets, logits, -logits)).mean())
    return float(-log_softmax(logits, axis=1)[np.arange(len(targets)), targets].mean())


def _anything(logits: npt.NDArray[np.float64], targets: Targets) -> float:
    """Return the mean loss of targets that are any of the outputs, or, of outputs that stand for themselves, true as often as not."""
    if targets.ndim == 2:
        return float(-(log_expit(logits) + log_expit(-logits)).mean() / 2)
    return float(-log_softmax(logits, axis=1).mean())


def choose_unknown_below(
    in_scope: npt.NDArray[np.float64],
    right: npt.NDArray[np.bool_],
    out_of_scope: npt.NDArray[np.float64],
    *,
    most_refused_share: float,
) -> float:
    """Return the score below which a text is answered with no label.

    It is the one with the best sum of two shares: of `in_scope` rows that are answered, and rightly, and of `out_of_scope` rows that are
    not; among those that take a right answer from at most `most_refused_share` of all `in_scope` rows. Half-way between the scores that
    it parts. All arrays are (rows,), scores of the best label, [0, 1].
    """
    edges = np.unique(np.concatenate([[0.0], in_scope, out_of_scope, [1.0]]))
    thresholds = (edges[1:] + edges[:-1]) / 2
    lost = np.array([(right & (in_scope < each)).mean() for each in thresholds])
    found = np.array([(out_of_scope < each).mean() for each in thresholds])
    worth = np.where(lost <= most_refused_share, found - lost, -np.inf)
    return float(thresholds[int(worth.argmax())]) if np.isfinite(worth).any() else 0.0
