"""Rows whose labels are probably wrong: those that a probe, which never saw them, is least willing to give the label that they have.

A linear probe on the base's own vectors is trained five times, each time without a fifth of the train split, and asked about that fifth
(confident learning, arXiv:1911.00068: probabilities must be out of sample). Rows with the same text are kept in one fold. How sure the
probe usually is of a label counts: a label that is hard for it is no reason to suspect all of its rows. For entities every unit is an
example of its tag, else every window of its text's labels, and a row is as suspect as the most suspect of them.

A probe learns from (targets x outputs) of at most MOST_LEARNT, so that no survey takes hours: of more, it is shown as many of each label as
fit, and all of those that have fewer; of several labels a text, rows that are drawn. It is asked about every target all the same.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import GroupKFold

from services.train.plan import Suspect
from services.train.trainer.corpus import Corpus
from services.train.trainer.frozen_probe import MOST_LEARNT, FrozenRows, Probabilities, Targets, Vectors, ask
from shared.data.inspection.findings import Placed, placed
from shared.data.inspection.likeness import canonical
from shared.runtime.entities import most_context
from shared.runtime.reader import EncodedText

SHARE_NAMED: Final = 0.1  # of the train rows, the most suspect
MOST_NAMED: Final = 1000
_FOLDS: Final = 5
_FEWEST: Final = 5  # targets of a label; of fewer, a probe that was shown even less of them knows nothing


@dataclass(frozen=True, slots=True)
class _Doubts:
    """What the probe thinks of every target."""

    # All are (targets,). How much less sure it is of what is given than it usually is; lower is more suspect.
    score: npt.NDArray[np.floating]
    # The probability that it gives to what is given.
    confidence: npt.NDArray[np.floating]
    # The output that it would give instead, or would turn round, of several labels.
    other: Targets


def find_suspects(corpus: Corpus, encoded: Sequence[EncodedText], train: FrozenRows) -> list[Suspect]:
    """Return the most suspect rows of train, whose texts are `encoded`, the most suspect first."""
    rows = placed({"train": corpus.splits["train"]})
    vectors, targets, owners = train.vectors, train.targets, train.owners
    numbers: dict[str, int] = {}
    groups = [numbers.setdefault(canonical(each.row.text), len(numbers)) for each in rows]
    if len(numbers) < 2:
        return []  # nobody could have learnt it elsewhere
    doubts = find_doubts(vectors, targets, np.array(groups)[owners])
    worst: dict[int, int] = {}  # the most suspect target of each row
    for k in np.argsort(doubts.score, kind="stable").tolist():
        given, suggested = _told(corpus, rows[owners[k]], targets[k], int(doubts.other[k]))
        if given != suggested and np.isfinite(doubts.score[k]):
            worst.setdefault(int(owners[k]), k)
    spans = [span for text in encoded for span in _spans(text)] if corpus.task == "entities" else []
    most = min(MOST_NAMED, max(1, round(SHARE_NAMED * len(rows))))
    return [
        Suspect(
            place=rows[i].row.id or rows[i].place,
            labels=given,
            suggested_labels=suggested,
            confidence=float(doubts.confidence[k]),
            start=spans[k][0] if spans else 0,
            end=spans[k][1] if spans else 0,
        )
        for i, k in worst.items()
        for given, suggested in [_told(corpus, rows[i], targets[k], int(doubts.other[k]))]
        if given != suggested
    ][:most]


def find_doubts(
    vectors: Vectors, targets: Targets, groups: npt.NDArray[np.int64], *, most_learnt: int = MOST_LEARNT
) -> _Doubts:
    """Ask a probe about every target that it was not trained on; targets of one group are in one fold. `vectors` is (targets, width)."""
    probabilities = _out_of_fold(vectors, targets, groups, most_learnt)
    if targets.ndim == 2:
        right = np.where(targets == 1, probabilities, 1 - probabilities)
        usual = np.where(targets == 1, _means(right, targets == 1), _means(right, targets == 0))
        other = (right - usual).argmin(axis=1)
        rows = np.arange(len(targets))
        return _Doubts((right - usual)[rows, other], right[rows, other], other)
    given = probabilities[np.arange(len(targets)), targets]
    sums, counts = (np.bincount(targets, weights) for weights in (given, None))
    usual = (sums / np.maximum(1, counts))[targets]
    score = np.where(counts[targets] >= _FEWEST, given - usual, np.inf)
    return _Doubts(score, given, probabilities.argmax(axis=1))


def _means(values: Probabilities, chosen: npt.NDArray[np.bool_]) -> Probabilities:
    """Return the mean of each column over its chosen rows, (columns,)."""
    return np.asarray((values * chosen).sum(axis=0) / np.maximum(1, chosen.sum(axis=0)))


def learnt(targets: Targets, outputs: int, most_learnt: int) -> npt.NDArray[np.int64]:
    """Return the rising places of the targets that a probe learns from, as many as most_learnt allows, drawn with a fixed seed."""
    most = max(1, most_learnt // outputs)
    everything = np.arange(len(targets))
    if len(targets) <= most:
        return everything
    drawn = np.random.default_rng(0).permutation(everything)
    if targets.ndim == 2:
        return np.sort(drawn[:most])
    counts = np.bincount(targets)
    of_each = bisect_right(range(most + 1), most, key=lambda cap: int(np.minimum(counts, cap).sum())) - 1
    by_output = drawn[np.argsort(targets[drawn], kind="stable")]
    turns = np.arange(len(targets)) - np.repeat(np.cumsum(counts) - counts, counts)  # among its output's
    return np.sort(by_output[turns < max(1, of_each)])


def _out_of_fold(
    vectors: Vectors, targets: Targets, groups: npt.NDArray[np.int64], most_learnt: int
) -> Probabilities:
    outputs = targets.shape[1] if targets.ndim == 2 else int(targets.max()) + 1
    probabilities = np.zeros((len(targets), outputs), dtype=np.float32)
    folds = GroupKFold(min(_FOLDS, len(np.unique(groups))), shuffle=True, random_state=0)
    for known, asked in folds.split(vectors, targets, groups):
        shown = known[learnt(targets[known], outputs, most_learnt)]
        probabilities[asked] = ask(vectors[shown], targets[shown], vectors[asked], outputs)
    return probabilities


def _spans(text: EncodedText) -> Iterator[tuple[int, int]]:
    """Where each target of a text lies in it, in the order of its examples' targets."""
    assert text.units is not None  # noqa: S101 - a reader of the entities task always finds units
    chosen = most_context(text.units.tokens, text.windows)
    for k in range(len(text.windows)):
        yield from (text.units.spans[unit] for unit in np.flatnonzero(chosen == k).tolist())


def _told(
    corpus: Corpus, row: Placed, target: Targets, other: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the labels that are given and those that are suggested: of the row, or of the unit."""
    labels = corpus.labels
    if corpus.task == "entities":
        return tuple(() if tag == 0 else (labels[(tag - 1) // 2],) for tag in (int(target), other))  # type: ignore[return-value]
    if corpus.task == "multi-label":
        given = set(row.row.labels)
        return tuple(sorted(given)), tuple(sorted(given ^ {labels[other]}))
    return (labels[int(target)],), (labels[other],)
