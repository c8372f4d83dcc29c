"""What a trainer is told: the resolved spec of a job, and the assignment file that carries it.

`spec.json` in an attempt's folder is an Assignment, or a Survey where nothing is to be trained. It is all that a trainer knows, on every engine.
"""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.store.manifest import Task

RecipeName = Literal["transformer-classifier", "entity-extractor", "rnn-classifier"]
PresetName = Literal["standard", "quick", "cross-lingual"]
Pooling = Literal["masked-mean", "first-token"]
Cell = Literal["gru", "lstm"]
Schedule = Literal["linear", "cosine", "slanted-triangular"]
ClassWeights = Literal["equal", "square-root", "balanced"]
Precision = Literal["auto", "fp32", "bf16"]

MOST_BATCH_SIZE: Final = 1024
# These take no base, and so nothing can be frozen.
FROM_SCRATCH: Final[frozenset[RecipeName]] = frozenset({"rnn-classifier"})
SEARCH_JOURNAL: Final = (
    "search.journal"  # file of the kept folder: what a search knows, for a trainer that goes on with it
)
SCRATCH: Final = "scratch"  # folder of an attempt's folder for files on their way to the store; nothing once the trainer is gone
STOP: Final = "stop"  # file of an attempt's folder; where it is, the trainer keeps the best so far and goes on to publish it

# torch, transformers and ONNX Runtime hold half of it before any work, and where they have less they hang or are aborted.
LEAST_MEMORY_BYTES: Final = 1 << 30  # of any `most_memory_bytes`
WORKERS_LOST_CODE: Final = 3  # exit code of a trainer whose workers were lost too often, nobody knows to what


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RecurrentShape(_Record):
    """The network of rnn-classifier, and its vocabulary."""

    cell: Cell
    layers: Annotated[int, Field(ge=1, le=4)]
    width: Annotated[int, Field(ge=8, le=1024)]  # of each direction
    embedding_width: Annotated[int, Field(ge=8, le=1024)]
    # Tokens at most: a small corpus yields fewer. The bytes alone are 256.
    vocabulary_size: Annotated[int, Field(ge=300, le=100_000)]


class Hyperparameters(_Record):
    """Every knob of a recipe, resolved. Ranges are those of the proto."""

    max_epochs: Annotated[int, Field(ge=1, le=1000)]
    batch_size: Annotated[
        int, Field(ge=1, le=MOST_BATCH_SIZE)
    ]  # windows a step: a text longer than the window counts once a window
    encoder_learning_rate: Annotated[float, Field(gt=0, lt=1)]  # peak; unused when adaptable is off
    head_learning_rate: Annotated[float, Field(gt=0, lt=1)]  # peak
    warmup_share: Annotated[float, Field(ge=0, lt=1)]  # of all steps
    weight_decay: Annotated[float, Field(ge=0, le=1)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    patience: Annotated[int, Field(ge=1, le=1000)]  # evaluations without a better metric
    max_tokens: Annotated[int, Field(ge=8, le=8192)]  # of a window, special tokens counted
    pooling: Pooling  # classifier only
    label_smoothing: Annotated[
        float, Field(ge=0, lt=1)
    ]  # share of the target spread over all labels or tags; not for multi-label
    recurrent: RecurrentShape | None = None  # of rnn-classifier, and of no other recipe
    # The defaults below are what jobs did that were accepted before these knobs were there.
    schedule: Schedule = "linear"  # of the rates, after the warm-up
    layer_decay: Annotated[float, Field(gt=0, le=1)] = (
        1.0  # the encoder's rate is multiplied by it for each layer below the top
    )
    frozen_layers: Annotated[int, Field(ge=0, le=100)] = (
        0  # lowest layers that do not learn; with them the embeddings
    )
    freeze_embeddings: bool = False
    # Of all steps: until then the encoder's layers begin to learn one after the other, the top first.
    unfreezing_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: ClassWeights = "equal"  # of the labels or tags in the loss, by how rare they are
    averaging_decay: Annotated[float, Field(ge=0, lt=1)] = (
        0.0  # a step, of the moving average of the weights; 0: none
    )
    precision: Precision = "auto"  # of multiplications; auto: bf16 where GPU or processor have it
    # Of all in-scope validation rows: so many, at most, may lose a right answer so that texts out of scope get none.
    most_refused_share: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    micro_batch_size: Annotated[int, Field(ge=1, le=MOST_BATCH_SIZE)] | None = (
        None  # windows computed at once; None: as many as fit
    )


SearchedKnob = Literal[
    "encoder_learning_rate",
    "head_learning_rate",
    "batch_size",
    "weight_decay",
    "dropout",
    "label_smoothing",
    "layer_decay",
    "unfreezing_share",
    "averaging_decay",
]


class Search(_Record):
    """Hyperparameters are looked for by training with several, judged on validation; the spec's own are the first that are tried."""

    most_trials: Annotated[int, Field(ge=2, le=1000)] = 20
    most_minutes: Annotated[float, Field(gt=0)] | None = None  # after which no trial begins
    knobs: tuple[SearchedKnob, ...] = ()  # to vary; none: those that matter most to the recipe


class QualityGates(_Record):
    """What a version must hold to be promoted; what is None is not asked. Points are hundredths of a metric."""

    champion: str = ""  # reference of the version to compare with, such as `support@production`; empty: none
    least_metric: Annotated[float, Field(ge=0, le=1)] | None = (
        None  # the task's, on test, or on validation where there is none
    )
    most_points_lost: Annotated[float, Field(ge=0, le=100)] | None = None  # of that, to the champion
    most_label_points_lost: Annotated[float, Field(ge=0, le=100)] | None = None  # of the F1 of any label
    most_slice_points_lost: Annotated[float, Field(ge=0, le=100)] | None = (
        None  # of the task's metric on any slice
    )
    fewest_rows: Annotated[int, Field(ge=1)] = (
        30  # of a label or slice that is compared: chance moves smaller ones
    )
    most_calibration_error: Annotated[float, Field(ge=0, le=1)] | None = None
    # Of the variant that servers choose by default, which is the fastest on the training machine: its files, and the p50 of one text alone
    # on one thread there.
    most_size_bytes: Annotated[int, Field(ge=1)] | None = None
    most_latency_ms: Annotated[float, Field(gt=0)] | None = None


class Continuation(_Record):
    """Which version a training goes on from, and what becomes of its labels."""

    version: str  # name@number
    label_renames: dict[str, str] = {}  # old name -> new name
    keeps_labels: bool = False  # labels that the dataset does not have stay, by the rows that are replayed
    # Of the train rows: so many more are drawn from what the version learnt from, spread over its labels, so that it does not forget them.
    replay_share: Annotated[float, Field(ge=0, le=10)] = 0.25


class JobSpec(_Record):
    """What to train, defaults filled in and the dataset's snapshot fixed."""

    model: str
    dataset: str  # name@sha256:<digest>
    task: Task  # the dataset's
    recipe: RecipeName
    base_model: str | None  # None: of a recipe that starts from nothing
    base_digest: str | None  # SHA-256 over the base's files when it was accepted: nothing else is learnt from
    adaptable: bool
    hyperparameters: Hyperparameters
    seed: int
    gates: QualityGates = QualityGates()
    continues: Continuation | None = None  # None: it begins with the base, or with nothing
    search: Search | None = None  # None: the hyperparameters are as they stand
    without_golden_examples: bool = False  # the version keeps no text of the dataset
    measures_gain: bool = False  # the same network is taught from random weights too, to be compared with

    @model_validator(mode="after")
    def _has_one_start(self) -> Self:
        told = (
            self.base_model is None,
            self.base_digest is None,
            self.hyperparameters.recurrent is not None,
        )
        if set(told) != {self.recipe in FROM_SCRATCH}:
            raise ValueError(f"{self.recipe} has either a base or a network of its own")
        return self


class Work(_Record):
    """What every trainer process needs to know."""

    spec: JobSpec
    store: str  # the store's folder or URL
    base_model_folder: str | None  # in Hub layout: config.json, model.safetensors, tokenizer.json
    languages: tuple[str, ...] = ()  # that the base claims, ISO 639-1, or `mul`; none: nobody knows
    threads: Annotated[int, Field(ge=1)]


class Assignment(Work):
    """One job for one trainer process."""

    job_id: str
    version: str  # reserved for the job, name@number
    attempt: Annotated[int, Field(ge=1)] = 1  # of the job's trainers, each has a number of its own
    kept_folder: str  # absolute; what one attempt leaves there the next goes on from
    # Of data that the process may hold, and each that it starts; None: as much as there is.
    most_memory_bytes: Annotated[int, Field(ge=1)] | None = None
    # Windows computed at once, whatever the hyperparameters say: fewer after an attempt that ran out of memory.
    most_windows: Annotated[int, Field(ge=1)] | None = None
    # Of an engine that has many machines: processes that train the network together, and trials of a search at a time, a process each.
    workers: Annotated[int, Field(ge=1)] = 1
    trials_at_once: Annotated[int, Field(ge=1)] = 1


class Survey(Work):
    """A look at a job that may be."""

    probes: bool  # take some steps, to know what training costs
    finds_suspects: bool  # look for labels that are probably wrong
    draws_curve: bool  # tell what more rows would be worth
