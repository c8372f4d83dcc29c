"""How each row of a split was answered, in counts that add up: what intervals, slices and comparisons are made of.

A row's outcome is (right, given, wanted). Over any rows 2 * right / (given + wanted) is the task's metric: of one label a text, where
all are 1 or 0 and 1 and 1, accuracy; of several, micro F1; of spans, strict span F1.
"""

from collections.abc import Collection, Hashable, Sequence

import numpy as np
import numpy.typing as npt

Outcomes = npt.NDArray[np.int64]  # (rows, 3)


def outcomes(true: Sequence[Collection[Hashable]], answered: Sequence[Collection[Hashable]]) -> Outcomes:
    """Return the outcomes of rows whose truths and answers are sets: of one label, of labels, or of (start, end, label)."""
    pairs = [(set(wanted), set(given)) for wanted, given in zip(true, answered, strict=True)]
    counted = [(len(wanted & given), len(given), len(wanted)) for wanted, given in pairs]
    return np.array(counted, dtype=np.int64).reshape(-1, 3)


def metric_of(sums: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Return the metric of summed outcomes, (..., 3) -> (...), [0, 1]; of nothing given and nothing wanted, 0."""
    right, given, wanted = np.moveaxis(sums, -1, 0)
    return np.asarray(2 * right / np.maximum(1, given + wanted))
