"""What a manifest tells of a version, in the order in which people ask for it. Card and report say the same, because both ask here.

Details are of one split, the test split where there is one, and of the fp32 variant, which every version has; what other variants score stands beside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from shared.store.evaluation import LabelScores, SliceScores, SplitEvaluation, Trial
from shared.store.manifest import (
    METRICS,
    ClassificationDecoding,
    Manifest,
    MultiLabelDecoding,
    VariantName,
)

SplitName = Literal["test", "validation"]
SPLITS: Final[tuple[SplitName, ...]] = ("test", "validation")  # the one that says more comes first


class ScoredLabel(NamedTuple):
    """A label and how well it is answered."""

    label: str
    scores: LabelScores
    threshold: float | None  # multi-label: the probability from which on it is given


class Confusion(NamedTuple):
    """Rows of one label that were answered with another."""

    true: str
    answered: str  # empty: nothing was answered
    row_count: int
    share: float  # of the rows that truly have the label, (0, 1]


@dataclass(frozen=True, slots=True)
class Column:
    """The scores of every value of a column of the rows."""

    name: str
    slices: tuple[SliceScores, ...]  # the worst first; one at least

    @property
    def worst(self) -> SliceScores:
        """The value whose rows are answered worst."""
        return self.slices[0]

    @property
    def best(self) -> SliceScores:
        """The value whose rows are answered best."""
        return self.slices[-1]

    @property
    def gap(self) -> float:
        """How far the worst is below the best, [0, 1]."""
        return self.best.metric - self.worst.metric

    @property
    def is_clear(self) -> bool:
        """Tell whether the 95 % intervals of the worst and the best do not meet."""
        return self.worst.high < self.best.low


class Headline(NamedTuple):
    """The task's metric of a split, as a variant is served."""

    split: SplitName
    variant: VariantName
    value: float
    interval: tuple[float, float] | None  # 95 %


class MetricRow(NamedTuple):
    """A metric of a split, as every variant is served."""

    split: SplitName
    row_count: int  # that it is measured on
    name: str
    values: tuple[float | None, ...]  # in the order of `Facts.variants`


@dataclass(frozen=True, slots=True)
class Facts:
    """A version, and what was measured of it. Made by `facts_of`."""

    manifest: Manifest
    split: SplitName | None  # that the details are of; None: nothing was measured
    evaluation: SplitEvaluation | None  # of that split

    @property
    def metric(self) -> str:
        """What the task is judged by."""
        return METRICS[self.manifest.task]

    @property
    def variants(self) -> tuple[VariantName, ...]:
        """The forms that it can be served in, fp32 first."""
        return tuple(sorted(self.manifest.variants, key=lambda name: name != "fp32"))

    @property
    def headlines(self) -> tuple[Headline, ...]:
        """The task's metric of every split and variant; of a split, fp32 first."""
        measured = self.manifest.evaluations
        return tuple(
            Headline(split, variant, evaluation.metrics[self.metric], evaluation.interval)
            for split in SPLITS
            for variant in self.variants
            if (evaluation := measured.get(variant, {}).get(split))
        )

    @property
    def metric_rows(self) -> tuple[MetricRow, ...]:
        """Every metric of every split; the task's own first."""
        measured = self.manifest.evaluations
        return tuple(
            MetricRow(
                split,
                evaluation.count_of(name),
                name,
                tuple(_metric(measured.get(variant, {}).get(split), name) for variant in self.variants),
            )
            for split in SPLITS
            if (evaluation := measured.get("fp32", {}).get(split))
            for name in sorted(evaluation.metrics, key=lambda name: (name != self.metric, name))
        )

    @property
    def labels(self) -> tuple[ScoredLabel, ...]:
        """Every label, the worst answered first; those without a row of the split last, in the order of the logits."""
        decoding = self.manifest.decoding
        thresholds: Mapping[str, float] = {}
        if isinstance(decoding, MultiLabelDecoding):
            thresholds = dict(zip(self.manifest.labels, decoding.thresholds, strict=True))
        known = self.evaluation.per_label if self.evaluation else {}
        unknown = LabelScores(precision=0, recall=0, f1=0, support=0)
        scored = [
            ScoredLabel(label, known.get(label, unknown), thresholds.get(label))
            for label in self.manifest.labels
        ]
        return tuple(sorted(scored, key=lambda each: (not each.scores.support, each.scores.f1)))

    @property
    def confusions(self) -> tuple[Confusion, ...]:
        """Pairs of labels that are taken for each other, the most rows first."""
        if self.evaluation is None:
            return ()
        supports = {label: scores.support for label, scores in self.evaluation.per_label.items()}
        pairs = [
            Confusion(true, answered, count, count / max(supports.get(true, count), count))
            for true, answered, count in self.evaluation.confusion
            if true != answered
        ]
        return tuple(sorted(pairs, key=lambda each: (-each.row_count, -each.share, each.true, each.answered)))

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns whose values were scored, the widest gap first."""
        slices = self.evaluation.slices if self.evaluation else ()
        columns = [
            Column(name, tuple(sorted((x for x in slices if x.column == name), key=lambda x: x.metric)))
            for name in dict.fromkeys(each.column for each in slices)
        ]
        return tuple(sorted(columns, key=lambda column: -column.gap))

    @property
    def best_trials(self) -> tuple[Trial, ...]:
        """The trials of the search that it came from, the best on validation first; none where nothing was searched."""
        return tuple(sorted(self.manifest.trials, key=lambda trial: (-trial.metric, trial.number)))

    @property
    def unknown_below(self) -> float | None:
        """The score below which nothing is answered; None: something always is."""
        decoding = self.manifest.decoding
        return decoding.unknown_below if isinstance(decoding, ClassificationDecoding) else None


def facts_of(manifest: Manifest) -> Facts:
    """Arrange a manifest."""
    measured = manifest.evaluations.get("fp32", {})
    split = next((name for name in SPLITS if name in measured), None)
    return Facts(manifest, split, measured[split] if split else None)


def _metric(evaluation: SplitEvaluation | None, name: str) -> float | None:
    return evaluation.metrics.get(name) if evaluation else None
