"""What more rows would be worth: a linear probe on the base's own vectors, taught rising shares of train and scored on validation.

Each share holds the one before it, has each label in the measure that train has it, and is the same in every run. What the last doubling
gained is told with the interval that chance leaves it on these validation rows (paired bootstrap), and the curve is called rising or flat
only where that leaves no doubt. Which rows the half holds is chance too, and is not in the interval. The probe stands for the training to
come as far as both learn the same labels from the same base: a training of all weights scores more, and may still rise where it does not.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from services.train.plan import LearningCurve, LearningPoint, Verdict
from services.train.trainer.corpus import Corpus
from services.train.trainer.frozen_probe import MOST_LEARNT, FrozenRows, Probabilities, ask
from services.train.trainer.validation import Logits, Validation
from shared.runtime.reader import EncodedText
from shared.scoring.intervals import difference
from shared.scoring.outcomes import Outcomes, metric_of

WORTH: Final = 0.02  # of the metric: for less, labelling as many rows again is hardly worth it
# Validation rows: a gain that none of fewer shows may still be worth it (the rule of three: 3 / rows, with 95 % confidence).
FEWEST_FOR_FLAT: Final = round(3 / WORTH)
_SHARES: Final = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
_LEAST: Final = 1e-6  # of a probability, so that its logit is finite

Numbers = npt.NDArray[np.int64]


def learning_curve(
    corpus: Corpus,
    train: FrozenRows,
    validation: FrozenRows,
    encoded: Sequence[EncodedText],
    *,
    most_learnt: int = MOST_LEARNT,
) -> LearningCurve:
    """Return the curve of a corpus; `encoded` are the texts of validation.

    Where all of train is more than `most_learnt` (targets x outputs), the shares are of as many rows as fit.
    """
    judge = Validation(corpus, encoded, validation.examples)
    outputs = 2 * len(corpus.labels) + 1 if corpus.task == "entities" else len(corpus.labels)
    targets, owners = train.targets, train.owners
    order, covering = spread_order([row.labels for row in corpus.splits["train"]])
    learnt = outputs * np.cumsum(np.bincount(owners, minlength=len(order))[order])
    most_rows = max(covering, int(np.searchsorted(learnt, most_learnt, side="right")))
    sizes = share_sizes(most_rows, covering)
    answered = []
    for size in sizes:
        shown = np.flatnonzero(np.isin(owners, order[:size]))
        probabilities = ask(train.vectors[shown], targets[shown], validation.vectors, outputs)
        answered.append(judge.outcomes(_logits(probabilities, several=targets.ndim == 2)))
    return _read(judge.metric_name, sizes, answered, train_rows=len(order))


def spread_order(labels: Sequence[Collection[str]]) -> tuple[Numbers, int]:
    """Return the numbers of rows with these labels, such that any beginning has the labels in the measure that all rows do.

    With it, how many come first so that every label is there.
    """
    counts = Counter(label for of_row in labels for label in of_row)
    rarest = [min(of_row, key=lambda label: (counts[label], label), default="") for of_row in labels]
    of_stratum, seen, turns = Counter(rarest), set[str](), Counter[str]()
    # Of each row among those that share its rarest label, (0, 1); below 0: it is the first to have one of its labels.
    place: dict[int, float] = {}
    for i in np.random.default_rng(0).permutation(len(labels)).tolist():
        turns[rarest[i]] += 1
        is_first = not seen.issuperset(labels[i])
        place[i] = -1.0 if is_first else (turns[rarest[i]] - 0.5) / of_stratum[rarest[i]]
        seen.update(labels[i])
    return np.array(sorted(place, key=place.__getitem__)), sum(each < 0 for each in place.values())


def share_sizes(rows: int, covering: int) -> list[int]:
    """Return how many rows each share has, rising to all; none has fewer than those that every label takes."""
    return sorted({size for share in _SHARES if (size := round(share * rows)) >= max(1, covering)} | {rows})


def verdict_of(low: float, high: float, validation_rows: int) -> Verdict:
    """Say what follows from the bounds of what the last doubling gained on so many rows."""
    if high < WORTH:
        return "flat" if validation_rows >= FEWEST_FOR_FLAT else "unclear"
    return "rising" if low > 0 else "unclear"


def _read(
    metric_name: str, sizes: Sequence[int], answered: Sequence[Outcomes], *, train_rows: int
) -> LearningCurve:
    # With hardly a row for each label there is no half to compare with, and nothing is known of the gain.
    gain, low, high = difference(answered[-1], answered[-2]) if len(sizes) > 1 else (0.0, -1.0, 1.0)
    return LearningCurve(
        metric_name=metric_name,
        points=tuple(
            LearningPoint(row_count=size, score=float(metric_of(of_rows.sum(axis=0))))
            for size, of_rows in zip(sizes, answered, strict=True)
        ),
        train_row_count=train_rows,
        gain=gain,
        gain_low=low,
        gain_high=high,
        verdict=verdict_of(low, high, len(answered[-1])),
    )


def _logits(probabilities: Probabilities, *, several: bool) -> Logits:
    """Return what is decoded as these probabilities."""
    likely = np.clip(probabilities, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(likely / (1 - likely)) if several else np.log(likely), dtype=np.float32)
