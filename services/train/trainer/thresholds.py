"""From which score on a multi-label version gives a label: chosen on the validation split, for the best F1.

Labels with few positive rows share one threshold, the best for all labels together: their own would be fitted to chance
(SCutFBR of Fan and Lin, "A Study on Threshold Selection for Multi-label Classification", 2007, falls back likewise). Pure.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from services.train.trainer.corpus import Corpus
from shared.data.rows import SplitName

FEWEST_POSITIVES: Final = 20  # validation rows of a label that has a threshold of its own

Scores = npt.NDArray[np.float64]
Present = npt.NDArray[np.bool_]

_UNINFORMED: Final = 0.5  # more probable than not
_LEAST, _MOST = 0.01, 0.99  # of a threshold: 0 and 1 would give a label always, or never


def present_labels(corpus: Corpus, split: SplitName) -> Present:
    """Return (rows, labels): whether the row has the label."""
    return np.array([[label in row.labels for label in corpus.labels] for row in corpus.splits[split]])


def choose_thresholds(scores: Scores, present: Present) -> tuple[float, ...]:
    """Return a threshold for each label; both arrays are (rows, labels), scores are probabilities."""
    common, _ = best_threshold(scores, present)
    return tuple(
        best_threshold(scores[:, i], present[:, i])[0] if present[:, i].sum() >= FEWEST_POSITIVES else common
        for i in range(scores.shape[1])
    )


def best_threshold(scores: Scores, present: Present) -> tuple[float, float]:
    """Return the threshold with the best F1 over all elements, and that F1: half-way between the scores that it parts.

    Without any positive element there is none, and 0.5 is as good as any other.
    """
    if not present.any():  # every threshold is as bad: there is nothing to find
        return _UNINFORMED, 0.0
    order = np.argsort(-scores, axis=None, kind="stable")
    ranked, right = scores.ravel()[order], present.ravel()[order]
    hits = np.cumsum(right)
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + max(1, int(right.sum())))
    parts = np.append(ranked[1:] < ranked[:-1], True)  # equal scores fall on one side
    best = int(np.argmax(np.where(parts, f1, -1)))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float(np.clip((ranked[best] + below) / 2, _LEAST, _MOST)), float(f1[best])
