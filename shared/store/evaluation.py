"""What a variant of a version was measured to answer: a part of its manifest."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, model_validator

Unit = Literal["points", "share", "bytes", "ms"]  # points: hundredths of a score; share: [0, 1]
QualityGate = Literal["metric", "champion", "labels", "slices", "calibration", "size", "latency"]
UNITS: Final[dict[QualityGate, Unit]] = {
    "metric": "points",
    "champion": "points",
    "labels": "points",
    "slices": "points",
    "calibration": "share",
    "size": "bytes",
    "latency": "ms",
}
_NOT_MEASURED_ONCE: Final = 1e9  # what manifests said before `measured` could be None


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelScores(_Record):
    """Scores of one label on one split, [0, 1]."""

    precision: float
    recall: float
    f1: float
    support: int  # rows, or mentions, that truly have the label


class ReliabilityBin(_Record):
    """Answers whose scores are alike."""

    count: int
    mean_score: float  # [0, 1]
    share_right: float  # [0, 1]


class SliceScores(_Record):
    """The task's metric on the rows of a split that share a value of a column."""

    column: str
    value: str
    row_count: int
    metric: float  # accuracy | micro_f1 | span_f1, [0, 1]
    low: float  # of its 95 % interval
    high: float


class RowError(_Record):
    """A row that was answered wrongly, without its text."""

    row: str  # its id, or its split and number in the snapshot, such as `test:17`
    true: tuple[str, ...]  # labels; of spans that were missed: `label [start, end)`
    answered: tuple[str, ...]
    score: float  # of the answer, the surest one; [0, 1]


class SplitEvaluation(_Record):
    """What the served variant scores on one split, computed through shared.runtime."""

    row_count: int
    out_of_scope_count: int = 0  # rows beside these that belong to no label, which out_of_scope_recall is of; 0 in manifests from before it was kept
    metrics: dict[
        str, float
    ]  # accuracy, macro_f1, answered, best_label_accuracy, out_of_scope_recall | micro_f1, macro_f1, subset_accuracy | span_precision, span_recall, span_f1,
    # partial_f1, type_f1, unseen_span_recall; calibration_error of all, calibration_error_before of labels; [0, 1]
    per_label: dict[str, LabelScores]
    confusion: tuple[
        tuple[str, str, int], ...
    ] = ()  # classification: (true label, answered label or "" for none, rows), zeros left out
    interval: tuple[float, float] | None = None  # of the task's metric, 95 %
    reliability: tuple[ReliabilityBin, ...] = ()  # of the scores of what was answered
    slices: tuple[SliceScores, ...] = ()
    errors: tuple[RowError, ...] = ()  # the surest ones first, as many as a manifest bears

    def count_of(self, metric: str) -> int:
        """Return how many rows a metric is measured on."""
        return self.out_of_scope_count if metric == "out_of_scope_recall" else self.row_count


class Change(_Record):
    """How the score of a label or a slice changed from one version to the next."""

    name: str  # the label, or `column=value`
    row_count: int  # rows, or mentions, that truly have it
    before: float  # F1 of a label, the task's metric of a slice; [0, 1]
    after: float


class Comparison(_Record):
    """A version beside the one that it would take the place of, both answered on the same rows."""

    champion: str  # name@number
    variant: str = "fp32"  # that the version answered as; the champion too, or as fp32 where it lacks it
    split: str
    row_count: int
    gain: float  # of the task's metric; less than nought if it lost
    low: float  # of the gain's 95 % interval, paired by row
    high: float
    labels: tuple[Change, ...]  # the greatest loss first
    slices: tuple[Change, ...]


class Gain(_Record):
    """What the base's weights were worth: the same network, taught alike from random weights, beside the version."""

    split: str
    row_count: int
    from_scratch: float  # the task's metric of that network, [0, 1]
    gain: float  # of the version over it
    low: float  # of the gain's 95 % interval, paired by row
    high: float


class QualityCheck(_Record):
    """One of the gates that the owner of a model set: `measured` must not exceed `limit`."""

    name: QualityGate
    passed: bool
    measured: float | None  # None: it could not be, and has failed; or there was no champion yet to lose to
    limit: float
    unit: Unit  # of both
    detail: str  # what was measured; why nothing was

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, record: Any) -> Any:
        """Add the unit, which follows from the name, to what was written without one."""
        if not isinstance(record, dict) or "unit" in record or record.get("name") not in UNITS:
            return record
        unmeasured = record.get("measured") == _NOT_MEASURED_ONCE and record["name"] != "size"
        return {
            **record,
            "unit": UNITS[record["name"]],
            "measured": None if unmeasured else record.get("measured"),
        }


def figure(value: float | None, unit: str) -> str:
    """Write a figure of a quality check for people; a share is bare, and nought has no sign."""
    if value is None:
        return "not measured"
    number = f"{value:z,.0f}" if unit == "bytes" else f"{value:z.3g}"
    return number if unit == "share" else f"{number} {unit}"


def signed_points(difference: float) -> str:
    """Write the difference of two scores, [-1, 1], in points for people; nought is never negative."""
    return f"{100 * difference:+z.2f}"


class Trial(_Record):
    """One training of a search."""

    number: int  # from 1
    knobs: dict[str, float]  # what was varied
    metric: float  # the task's best on validation, [0, 1]; of one that was cut short, until then
    state: str  # complete | pruned | failed


class CurvePoint(_Record):
    """One look at validation while the weights learnt."""

    step: int
    train_loss: float  # mean since the point before
    metric: float  # the task's, [0, 1]
