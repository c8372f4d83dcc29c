"""Scores of labels: one for each row, by scikit-learn, or several, as the set that they are."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from shared.scoring.counting import score_sets, with_unknown
from shared.store.evaluation import LabelScores, SplitEvaluation

NOTHING: Final = ""  # stands for the answer of a version that abstained


def score_classification(
    true: Sequence[str], answered: Sequence[str], labels: Sequence[str]
) -> SplitEvaluation:
    """Score the best label of every row. `labels`: the model's; true labels that it does not know are scored too.

    macro_f1 is the mean over the labels that are true or answered somewhere; NOTHING, the answer of a version that abstained, is none.
    """
    names = with_unknown(labels, true)
    precisions, recalls, f1s, supports = precision_recall_fscore_support(
        true, answered, labels=names, zero_division=0
    )
    per_label = {
        name: LabelScores(
            precision=float(precision), recall=float(recall), f1=float(f1), support=int(support)
        )
        for name, precision, recall, f1, support in zip(
            names, precisions, recalls, f1s, supports, strict=True
        )
    }
    pairs = Counter(zip(true, answered, strict=True))
    confusion = tuple((t, a, pairs[t, a]) for t in names for a in (*names, NOTHING) if pairs[t, a])
    seen = sorted({*true, *answered} - {NOTHING})
    metrics = {
        "accuracy": float(accuracy_score(true, answered)),
        "macro_f1": float(f1_score(true, answered, labels=seen, average="macro", zero_division=0)),
    }
    return SplitEvaluation(row_count=len(true), metrics=metrics, per_label=per_label, confusion=confusion)


def score_multi_label(
    true: Sequence[Collection[str]], answered: Sequence[Collection[str]], labels: Sequence[str]
) -> SplitEvaluation:
    """Score the labels given to every row. `labels`: the model's; true labels that it does not know are scored too.

    micro_f1 counts all labels of all rows together, macro_f1 is the mean over the labels that are true or given somewhere,
    subset_accuracy is the share of rows whose labels are all right.
    """
    names = with_unknown(labels, [label for row in true for label in row])
    wanted = {(i, label) for i, row in enumerate(true) for label in row}
    given = {(i, label) for i, row in enumerate(answered) for label in row}
    per_label = {
        name: score_sets({m for m in wanted if m[1] == name}, {m for m in given if m[1] == name})
        for name in names
    }
    seen = {label for _, label in wanted | given}
    metrics = {
        "micro_f1": score_sets(wanted, given).f1,
        "macro_f1": sum(per_label[name].f1 for name in seen) / max(1, len(seen)),
        "subset_accuracy": sum(set(t) == set(a) for t, a in zip(true, answered, strict=True)) / len(true),
    }
    return SplitEvaluation(row_count=len(true), metrics=metrics, per_label=per_label)
