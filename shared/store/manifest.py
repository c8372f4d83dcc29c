"""The manifest: everything that a version is, in one JSON file.

A version exists when its manifest does. The manifest names every file by SHA-256, says how texts become token ids and logits
become answers, and holds the lineage and the evidence. The runtime decides nothing that is not written here.
"""

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.names import VersionName
from shared.store.evaluation import (
    Comparison,
    CurvePoint,
    Gain,
    QualityCheck,
    SplitEvaluation,
    Trial,
)

SCHEMA_VERSION: Final = 3  # 3: scores are calibrated, and a version may abstain
READABLE_SCHEMAS: Final = (2, 3)  # what 2 lacks has defaults

Task = Literal["classification", "multi-label", "entities"]
METRICS: Final[dict[Task, str]] = {  # what a task is judged by
    "classification": "accuracy",
    "multi-label": "micro_f1",
    "entities": "span_f1",
}
ProvingSplit = Literal["validation", "test"]
VariantName = Literal["fp32", "int8"]  # fp32: as it was trained; int8: its multiplications in bytes
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredFile(_Record):
    """A blob of the store."""

    digest: Digest  # SHA-256 of its bytes
    size_bytes: Annotated[int, Field(ge=0)]


class Graph(_Record):
    """An ONNX file and the names that it is fed and read by."""

    file: StoredFile
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class Variant(_Record):
    """One way to compute the logits: `model` alone, or `encoder` then `head` where the encoder was frozen.

    `model`: input_ids, attention_mask[, token_type_ids] (batch, tokens) int64 -> `logits` float32, (batch, labels) for
    classification and multi-label, (batch, tokens, tags) for entities.
    `encoder`: the same inputs -> `hidden_states` (batch, tokens, width), `pooled` (batch, width), the masked mean.
    `head`: its one input is `pooled` or `hidden_states` (by `Graph.inputs`) -> `logits` as above.
    """

    graphs: dict[Literal["model", "encoder", "head"], Graph]

    @property
    def trunk(self) -> Graph:
        """The graph that reads token ids."""
        return self.graphs["encoder" if "encoder" in self.graphs else "model"]


class Tokenization(_Record):
    """How a text becomes windows of token ids."""

    file: StoredFile  # tokenizer.json; its own truncation and padding are always switched off
    max_tokens: Annotated[int, Field(ge=8)]  # of a window, special tokens counted
    stride_tokens: Annotated[int, Field(ge=0)]  # content tokens that neighbouring windows share


FEWEST_CALIBRATED_ROWS: Final = 50  # of validation: no temperature is fitted on fewer


class ClassificationDecoding(_Record):
    """How logits become labels. A long text's logits are the mean of its windows', weighted by their content tokens."""

    activation: Literal["softmax"] = "softmax"
    temperature: Annotated[float, Field(gt=0)] = 1.0  # logits are divided by it; arXiv:1706.04599
    unknown_below: Annotated[float, Field(ge=0, le=1)] | None = (
        None  # a best score below it is no answer: the text is out of scope
    )
    window_pooling: Literal["token-weighted-mean"] = "token-weighted-mean"


class MultiLabelDecoding(_Record):
    """How logits become labels, each for itself. Windows are pooled as for one label."""

    activation: Literal["sigmoid"] = "sigmoid"
    temperature: Annotated[float, Field(gt=0)] = 1.0  # as for one label
    thresholds: tuple[
        Annotated[float, Field(gt=0, lt=1)], ...
    ]  # in the order of the labels: from here on a label is given
    window_pooling: Literal["token-weighted-mean"] = "token-weighted-mean"


class EntitiesDecoding(_Record):
    """How logits become spans: one tag for each word, read at its first token; the best path without illegal moves."""

    scheme: Literal["bio"] = "bio"
    temperature: Annotated[float, Field(gt=0)] = 1.0  # of the tags' probabilities; no path depends on it
    words: Literal["unicode"] = "unicode"  # shared.runtime.words
    window_choice: Literal["most-context"] = "most-context"


class GoldenSpan(_Record):
    """An expected entity, in code points, end exclusive."""

    start: int
    end: int
    label: str


class GoldenExample(_Record):
    """A text whose answer is known; a loaded version must repeat it before it serves."""

    text: str
    label: str | None = None  # classification: the label that is given; empty where the version abstains
    labels: tuple[str, ...] | None = None  # multi-label: all of them, sorted
    entities: tuple[GoldenSpan, ...] | None = None  # entities: all of them


class BaseModelLineage(_Record):
    """The pre-trained encoder that a version grew from."""

    id: str
    revision: str
    digest: Digest
    licence: str
    source: str = (
        ""  # where it was fetched from, such as its name on the Hugging Face Hub; empty where nobody noted it
    )
    config: dict[str, object] = {}  # its config.json; empty in versions from before it was kept


class Lineage(_Record):
    """Where a version comes from: enough to make it again."""

    job_id: str
    base_model: BaseModelLineage | None  # None: it was trained from scratch
    adaptable: bool
    dataset: str  # name@sha256:<digest>
    spec: dict[str, object]  # the resolved services.train.spec.JobSpec
    seed: int
    package_versions: dict[str, str]
    parent_version: str | None = None  # that the training went on from, name@number
    replayed_row_count: int = (
        0  # train rows, and rows out of scope, that came from what the parent learnt from
    )

    # Where training was ended early on request: the last step of the network that was kept. What was still to be trained then, such as what
    # the gain is measured against, was left out.
    stopped_step: int | None = None

    @property
    def replayed_version(self) -> str | None:
        """The version whose rows were shown again in this training, if any were."""
        return self.parent_version if self.replayed_row_count else None


class GateCheck(_Record):
    """One check of the export gate: `measured` must not exceed `limit`."""

    name: str  # such as `fp32.logits`
    variant: VariantName = (
        "fp32"  # a check of another variant that fails costs the version this variant alone
    )
    passed: bool
    measured: float
    limit: float
    detail: str


class DataFinding(_Record):
    """Something doubtful about the rows that a version learnt from; see shared.data.inspection."""

    kind: str
    message: str
    count: int
    places: tuple[str, ...]


_DECODINGS: Final[dict[Task, type[BaseModel]]] = {
    "classification": ClassificationDecoding,
    "multi-label": MultiLabelDecoding,
    "entities": EntitiesDecoding,
}


class Manifest(_Record):
    """A version. Written once, last, and never changed."""

    schema_version: Literal[2, 3] = SCHEMA_VERSION
    model: str
    number: Annotated[int, Field(ge=1)]
    state: Literal["published", "rejected"]
    task: Task
    labels: tuple[
        str, ...
    ]  # classification, multi-label: in the order of the logits. Entities: tags are O, B-l0, I-l0, B-l1, I-l1, ...
    tokenization: Tokenization
    variants: dict[VariantName, Variant]  # fp32 always, others where the gate passed them
    decoding: ClassificationDecoding | MultiLabelDecoding | EntitiesDecoding
    weights: StoredFile | None = (
        None  # safetensors, as they were trained: for a training that goes on from here; serving needs none of it
    )
    golden_examples: tuple[GoldenExample, ...]
    evaluations: dict[VariantName, dict[ProvingSplit, SplitEvaluation]]  # of each variant, as it is served
    gate_checks: tuple[GateCheck, ...]
    comparison: Comparison | None = None  # with the champion, of the variant that servers choose
    quality_checks: tuple[
        QualityCheck, ...
    ] = ()  # those that failed keep aliases from moving here unless somebody says why they should
    forgetting: Comparison | None = (
        None  # with the parent, on the rows that proved it; `champion` is the parent
    )
    gain: Gain | None = None  # over training from scratch, where it was asked for
    training_curve: tuple[CurvePoint, ...] = ()
    trials: tuple[Trial, ...] = ()  # of a search; the lineage's spec is the best one's, and trains it alone
    findings: tuple[DataFinding, ...] = ()  # the gravest first
    lineage: Lineage
    create_time: datetime

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        if not isinstance(self.decoding, _DECODINGS[self.task]):
            raise ValueError(f"decoding: is not for {self.task}")  # noqa: TRY004  # pydantic reports ValueErrors
        if not self.labels or len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: are not one or more different ones")
        if isinstance(self.decoding, MultiLabelDecoding) and len(self.decoding.thresholds) != len(
            self.labels
        ):
            raise ValueError("thresholds: are not one for each label")
        if "fp32" not in self.variants:
            raise ValueError("variants: lack fp32")
        if not self.evaluations.keys() <= self.variants.keys():
            raise ValueError("evaluations: are of variants that are not there")
        for variant in self.variants.values():
            if set(variant.graphs) not in ({"model"}, {"encoder", "head"}):
                raise ValueError("graphs: are neither a model nor an encoder and a head")
        for example in self.golden_examples:
            answers = {
                "classification": example.label,
                "multi-label": example.labels,
                "entities": example.entities,
            }
            if {task for task, answer in answers.items() if answer is not None} != {self.task}:
                raise ValueError(f"golden_examples: do not answer as {self.task} does")
        return self

    @property
    def version(self) -> VersionName:
        """The version's name."""
        return VersionName(self.model, self.number)

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """Every blob that the version needs."""
        graphs = (graph.file for variant in self.variants.values() for graph in variant.graphs.values())
        return (self.tokenization.file, *graphs)

    @property
    def metrics(self) -> dict[str, float]:
        """Every metric of every split for fp32, by `<split>.<metric>`."""
        return self.metrics_of("fp32")

    def metrics_of(self, variant: VariantName) -> dict[str, float]:
        """Every metric of every split for a variant, by `<split>.<metric>`."""
        return {
            f"{split}.{name}": value
            for split, evaluation in self.evaluations.get(variant, {}).items()
            for name, value in evaluation.metrics.items()
        }

    @property
    def tags(self) -> tuple[str, ...]:
        """Entities: the tags in the order of the logits."""
        return ("O", *(f"{prefix}-{label}" for label in self.labels for prefix in "BI"))
