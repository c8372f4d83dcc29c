"""What a survey of a job that may be finds out, and the plan that a caller gets of it.

Records and nothing else; a survey's report goes from the trainer's process to the service in its event.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.train.spec import JobSpec
from shared.data.inspection.findings import Finding


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TextFacts(_Record):
    """How the base's tokenizer reads the texts of all splits."""

    row_count: int
    window_count: int  # windows that texts are cut into
    long_row_count: int  # rows of more than one window
    median_tokens: int  # of a text, special tokens counted
    p95_tokens: int
    most_tokens: int
    unknown_token_share: float  # tokens that the vocabulary does not have, [0, 1]
    language_shares: dict[
        str, float
    ]  # ISO 639-1 code -> share of the rows whose language can be told, [0, 1]


class Cost(_Record):
    """What training will take on the machine that the probe ran on, from a few steps; to its end, if nothing stops it early."""

    total_steps: int  # of one training
    training_count: int  # a search's trials, as many as may begin in time, and the gain's
    step_ms: float  # mean
    evaluation_ms: float  # of the validation split, once
    encoding_ms: float  # adaptable off: the encoder's one pass over all texts; else 0
    duration_ms: int  # of all trainings, as long as the first each; export and gate come on top
    peak_memory_bytes: (
        int  # resident in the survey's process, at its largest; of training, export and gate may hold more
    )


class Suspect(_Record):
    """A row of train whose labels are probably wrong."""

    place: str  # its id, or its place in the snapshot, such as `train:17`
    labels: tuple[str, ...]  # that it has; of an entity, that the unit has
    suggested_labels: tuple[str, ...]
    confidence: float  # that what it has is right, as a probe says that never saw it; [0, 1]
    start: int  # entities: code points [start, end) of the unit that is doubtful; else 0
    end: int


class LearningPoint(_Record):
    """A share of train, and what a probe that was taught it scores on validation."""

    row_count: int
    score: float  # of the task's metric, [0, 1]


Verdict = Literal["rising", "flat", "unclear"]


class LearningCurve(_Record):
    """What more rows would be worth, as a probe on the base's own vectors says."""

    metric_name: str  # accuracy, micro_f1 or span_f1
    points: tuple[LearningPoint, ...]  # rising; each share holds the one before it
    train_row_count: int  # more than the last point has where a probe cannot learn from all
    gain: float  # of the last doubling of the rows; 0 where there is one point only
    gain_low: float  # the bounds that it lies between with 95 % confidence, as far as chance is in the validation rows
    gain_high: float
    verdict: Verdict  # rising: more rows still help; flat: as many again would hardly; unclear: these validation rows cannot tell


class Report(_Record):
    """A survey's result."""

    findings: tuple[Finding, ...]
    texts: TextFacts
    cost: Cost | None  # None: not asked for
    suspects: tuple[Suspect, ...]  # the most suspect first; none where not asked for
    learning_curve: LearningCurve | None  # None: not asked for


class Advice(_Record):
    """A change of the spec that is worth a thought."""

    field: str  # of the spec: `recipe`, `adaptable`, `base_model`, `hyperparameters.max_tokens`
    value: str  # what to set it to
    reason: Annotated[str, Field(min_length=1)]


class Plan(_Record):
    """What would be trained, on what, for how long, and what an expert would say of it."""

    spec: JobSpec
    report: Report
    advice: tuple[Advice, ...]
