"""How much each label, or tag, counts in the loss: more where it is rare, if the recipe asks for it. Pure."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.train.spec import ClassWeights
from services.train.trainer.examples import Example

Weights = npt.NDArray[np.float32]

_POWERS: dict[ClassWeights, float] = {"equal": 0.0, "square-root": 0.5, "balanced": 1.0}


def class_weights(kind: ClassWeights, examples: Sequence[Example], outputs: int) -> Weights:
    """Return (outputs,) weights.

    One label or tag of many: (mean count / count) to the power of 0, 1/2 or 1, scaled so that the mean over all targets is 1; those
    that no target has count 1. Several labels: (absent / present) to the same power, for the targets that are present.
    """
    targets = np.concatenate([example.targets for example in examples])
    power = _POWERS[kind]
    if targets.ndim == 2:
        present = targets.sum(axis=0)
        ratio = (len(targets) - present) / np.maximum(1, present)
        return np.asarray(np.where(present > 0, ratio, 1) ** power, dtype=np.float32)
    counts = np.bincount(targets, minlength=outputs)
    weights = (counts.mean() / np.maximum(1, counts)) ** power
    weights *= counts.sum() / (weights * counts).sum()
    return np.asarray(np.where(counts > 0, weights, 1), dtype=np.float32)
