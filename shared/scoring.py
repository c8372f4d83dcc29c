"""Scores of answers against the truth: one way to compute them for manifests, `tagsmith eval` and benchmarks.

Classification is scored by scikit-learn. Several labels of a row are scored as the set that they are. Entities are scored as strict spans: a mention counts if start, end and label are all
right. Pure.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from shared.store.manifest import LabelScores, SplitEvaluation

Surface = tuple[str, str]  # (label, lower-cased surface)


class LabelledSpan(Protocol):
    """A mention: code points [start, end) and its label."""

    @property
    def start(self) -> int:
        """First code point."""

    @property
    def end(self) -> int:
        """One past the last."""

    @property
    def label(self) -> str:
        """Its label."""


def score_classification(
    true: Sequence[str], answered: Sequence[str], labels: Sequence[str]
) -> SplitEvaluation:
    """Score the best label of every row. `labels`: the model's; true labels that it does not know are scored too.

    macro_f1 is the mean over the labels that are true or answered somewhere.
    """
    names = _with_unknown(labels, true)
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
    confusion = tuple((t, a, pairs[t, a]) for t in names for a in names if pairs[t, a])
    metrics = {
        "accuracy": float(accuracy_score(true, answered)),
        "macro_f1": float(f1_score(true, answered, average="macro", zero_division=0)),
    }
    return SplitEvaluation(row_count=len(true), metrics=metrics, per_label=per_label, confusion=confusion)


def score_multi_label(
    true: Sequence[Collection[str]], answered: Sequence[Collection[str]], labels: Sequence[str]
) -> SplitEvaluation:
    """Score the labels given to every row. `labels`: the model's; true labels that it does not know are scored too.

    micro_f1 counts all labels of all rows together, macro_f1 is the mean over the labels that are true or given somewhere,
    subset_accuracy is the share of rows whose labels are all right.
    """
    names = _with_unknown(labels, [label for row in true for label in row])
    wanted = {(i, label) for i, row in enumerate(true) for label in row}
    given = {(i, label) for i, row in enumerate(answered) for label in row}
    per_label = {
        name: _set_scores({m for m in wanted if m[1] == name}, {m for m in given if m[1] == name})
        for name in names
    }
    seen = {label for _, label in wanted | given}
    metrics = {
        "micro_f1": _set_scores(wanted, given).f1,
        "macro_f1": sum(per_label[name].f1 for name in seen) / max(1, len(seen)),
        "subset_accuracy": sum(set(t) == set(a) for t, a in zip(true, answered, strict=True)) / len(true),
    }
    return SplitEvaluation(row_count=len(true), metrics=metrics, per_label=per_label)


def score_entities(
    true: Sequence[Sequence[LabelledSpan]],
    answered: Sequence[Sequence[LabelledSpan]],
    labels: Sequence[str],
    train_surfaces: set[Surface],
    texts: Sequence[str],
) -> SplitEvaluation:
    """Score strict spans, micro-averaged over all texts; element i of each sequence belongs to text i.

    `unseen_span_recall` is the recall of mentions whose surface never had their label in the train split (`train_surfaces`,
    see `surfaces`); it is left out where there is no such mention.
    """
    wanted = {(i, span.start, span.end, span.label) for i, spans in enumerate(true) for span in spans}
    given = {(i, span.start, span.end, span.label) for i, spans in enumerate(answered) for span in spans}
    if len(true) != len(answered) or len(true) != len(texts):
        raise ValueError(f"{len(texts)} texts, {len(true)} truths and {len(answered)} answers")
    names = _with_unknown(labels, sorted({label for *_, label in wanted}))
    per_label = {
        name: _set_scores({m for m in wanted if m[3] == name}, {m for m in given if m[3] == name})
        for name in names
    }
    total = _set_scores(wanted, given)
    metrics = {"span_precision": total.precision, "span_recall": total.recall, "span_f1": total.f1}
    unseen = {m for m in wanted if (m[3], texts[m[0]][m[1] : m[2]].lower()) not in train_surfaces}
    if unseen:
        metrics["unseen_span_recall"] = len(unseen & given) / len(unseen)
    return SplitEvaluation(row_count=len(texts), metrics=metrics, per_label=per_label)


def surfaces(texts: Sequence[str], spans: Sequence[Iterable[LabelledSpan]]) -> set[Surface]:
    """Return what `score_entities` takes as seen: every mention's label and lower-cased surface."""
    return {
        (span.label, text[span.start : span.end].lower())
        for text, mentions in zip(texts, spans, strict=True)
        for span in mentions
    }


def _set_scores(wanted: AbstractSet[Hashable], given: AbstractSet[Hashable]) -> LabelScores:
    right = len(wanted & given)
    return LabelScores(
        precision=right / len(given) if given else 0.0,
        recall=right / len(wanted) if wanted else 0.0,
        f1=2 * right / (len(wanted) + len(given)) if wanted or given else 0.0,
        support=len(wanted),
    )


def _with_unknown(labels: Sequence[str], true: Sequence[str]) -> list[str]:
    return list(dict.fromkeys((*labels, *sorted(set(true)))))
