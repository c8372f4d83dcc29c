"""Scores of spans: strict, by their place alone, by their label alone, and of those that training never showed."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from shared.scoring.counting import score_sets, with_unknown
from shared.store.evaluation import SplitEvaluation

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
    names = with_unknown(labels, sorted({label for *_, label in wanted}))
    per_label = {
        name: score_sets({m for m in wanted if m[3] == name}, {m for m in given if m[3] == name})
        for name in names
    }
    total = score_sets(wanted, given)
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
