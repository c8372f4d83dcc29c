"""What a variant of a version was measured to answer: a part of its manifest."""

from pydantic import BaseModel, ConfigDict


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
    metrics: dict[
        str, float
    ]  # accuracy, macro_f1, answered, out_of_scope_recall | micro_f1, macro_f1, subset_accuracy | span_precision, span_recall, span_f1,
    # partial_f1, type_f1, unseen_span_recall; calibration_error of all; [0, 1]
    per_label: dict[str, LabelScores]
    confusion: tuple[
        tuple[str, str, int], ...
    ] = ()  # classification: (true label, answered label or "" for none, rows), zeros left out
    interval: tuple[float, float] | None = None  # of the task's metric, 95 %
    reliability: tuple[ReliabilityBin, ...] = ()  # of the scores of what was answered
    slices: tuple[SliceScores, ...] = ()
    errors: tuple[RowError, ...] = ()  # the surest ones first, as many as a manifest bears
