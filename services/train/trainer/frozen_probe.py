"""A linear probe on a base's own vectors: what its rows teach before anything of the base is trained.

For entities every unit is an example of its tag; where a text has several labels, each label has a probe of its own. No draw is made:
the same vectors and targets give the same answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from services.train.trainer.examples import Example, make_examples
from services.train.trainer.features import compute_features
from services.train.trainer.network import Encoder, Reading
from shared.data.rows import Row
from shared.runtime.reader import EncodedText

MOST_LEARNT: Final = 10_000_000  # targets x outputs that a probe is taught at most: minutes on a few cores
_STRENGTH: Final = 0.1  # LogisticRegression's C: strong enough not to learn what is wrong by heart
_STEPS: Final = 200

Vectors = npt.NDArray[np.float32]  # (targets, width)
Targets = npt.NDArray[np.int64]  # (targets,), or (targets, labels), 1 for those that are present
Probabilities = npt.NDArray[np.float32]  # (targets, outputs)


@dataclass(frozen=True, slots=True, eq=False)
class FrozenRows:
    """Rows as the base reads them."""

    examples: Sequence[Sequence[Example]]  # of each row
    vectors: Vectors  # of all their targets, one below the other

    @property
    def targets(self) -> Targets:
        """What each vector should be answered with."""
        flat = [example.targets for of_row in self.examples for example in of_row]
        return np.concatenate(flat).astype(np.int64)

    @property
    def owners(self) -> npt.NDArray[np.int64]:
        """The number of the row that each target belongs to, rising, (targets,)."""
        counts = [sum(len(example.targets) for example in of_row) for of_row in self.examples]
        return np.repeat(np.arange(len(counts)), counts)


def read_frozen(
    rows: Sequence[Row],
    encoded: Sequence[EncodedText],
    labels: Sequence[str],
    encoder: Encoder,
    reading: Reading,
    pad_id: int,
) -> FrozenRows:
    """Have the encoder read rows once, as it is; `encoded` are their texts, `labels` in the order of the outputs."""
    examples = make_examples(rows, encoded, labels)
    flat = [example for of_row in examples for example in of_row]
    return FrozenRows(examples, compute_features(encoder, reading, flat, pad_id).vectors.numpy())


def ask(vectors: Vectors, targets: Targets, asked: Vectors, outputs: int) -> Probabilities:
    """Teach a probe `targets` of `vectors`, and return what it says of others, (asked, outputs); 0 for outputs that it was not shown."""
    linear = LogisticRegression(C=_STRENGTH, max_iter=_STEPS)
    if targets.ndim == 2 and targets.shape[1] == 1:  # which scikit-learn takes for two classes
        return ask(vectors, targets[:, 0], asked, 2)[:, 1:]
    if targets.ndim == 2:
        several: Probabilities = _taught(OneVsRestClassifier(linear), vectors, targets).predict_proba(asked)
        return several
    probabilities = np.zeros((len(asked), outputs), dtype=np.float32)
    shown = np.unique(targets)
    if len(shown) == 1:  # there is nothing to tell apart
        probabilities[:, shown] = 1
    else:
        probabilities[:, shown] = _taught(linear, vectors, targets).predict_proba(asked)
    return probabilities


def _taught(
    classifier: LogisticRegression | OneVsRestClassifier, vectors: Vectors, targets: Targets
) -> Pipeline:
    return make_pipeline(StandardScaler(), classifier).fit(vectors, targets)
