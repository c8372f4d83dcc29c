import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Split(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPLIT_UNSPECIFIED: _ClassVar[Split]
    TRAIN: _ClassVar[Split]
    VALIDATION: _ClassVar[Split]
    TEST: _ClassVar[Split]

class Task(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TASK_UNSPECIFIED: _ClassVar[Task]
    CLASSIFICATION: _ClassVar[Task]
    ENTITIES: _ClassVar[Task]
    MULTI_LABEL: _ClassVar[Task]

class Recipe(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECIPE_UNSPECIFIED: _ClassVar[Recipe]
    TRANSFORMER_CLASSIFIER: _ClassVar[Recipe]
    ENTITY_EXTRACTOR: _ClassVar[Recipe]
    RNN_CLASSIFIER: _ClassVar[Recipe]

class Preset(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRESET_UNSPECIFIED: _ClassVar[Preset]
    STANDARD: _ClassVar[Preset]
    QUICK: _ClassVar[Preset]
    CROSS_LINGUAL: _ClassVar[Preset]

class Schedule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCHEDULE_UNSPECIFIED: _ClassVar[Schedule]
    LINEAR: _ClassVar[Schedule]
    COSINE: _ClassVar[Schedule]
    SLANTED_TRIANGULAR: _ClassVar[Schedule]

class ClassWeights(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLASS_WEIGHTS_UNSPECIFIED: _ClassVar[ClassWeights]
    EQUAL: _ClassVar[ClassWeights]
    SQUARE_ROOT: _ClassVar[ClassWeights]
    BALANCED: _ClassVar[ClassWeights]

class Precision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRECISION_UNSPECIFIED: _ClassVar[Precision]
    AUTO: _ClassVar[Precision]
    FP32: _ClassVar[Precision]
    BF16: _ClassVar[Precision]

class Cell(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CELL_UNSPECIFIED: _ClassVar[Cell]
    GRU: _ClassVar[Cell]
    LSTM: _ClassVar[Cell]

class Pooling(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POOLING_UNSPECIFIED: _ClassVar[Pooling]
    MASKED_MEAN: _ClassVar[Pooling]
    FIRST_TOKEN: _ClassVar[Pooling]
SPLIT_UNSPECIFIED: Split
TRAIN: Split
VALIDATION: Split
TEST: Split
TASK_UNSPECIFIED: Task
CLASSIFICATION: Task
ENTITIES: Task
MULTI_LABEL: Task
RECIPE_UNSPECIFIED: Recipe
TRANSFORMER_CLASSIFIER: Recipe
ENTITY_EXTRACTOR: Recipe
RNN_CLASSIFIER: Recipe
PRESET_UNSPECIFIED: Preset
STANDARD: Preset
QUICK: Preset
CROSS_LINGUAL: Preset
SCHEDULE_UNSPECIFIED: Schedule
LINEAR: Schedule
COSINE: Schedule
SLANTED_TRIANGULAR: Schedule
CLASS_WEIGHTS_UNSPECIFIED: ClassWeights
EQUAL: ClassWeights
SQUARE_ROOT: ClassWeights
BALANCED: ClassWeights
PRECISION_UNSPECIFIED: Precision
AUTO: Precision
FP32: Precision
BF16: Precision
CELL_UNSPECIFIED: Cell
GRU: Cell
LSTM: Cell
POOLING_UNSPECIFIED: Pooling
MASKED_MEAN: Pooling
FIRST_TOKEN: Pooling

class ImportDatasetRequest(_message.Message):
    __slots__ = ("header", "chunk")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    header: ImportFileHeader
    chunk: bytes
    def __init__(self, header: _Optional[_Union[ImportFileHeader, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class ImportFileHeader(_message.Message):
    __slots__ = ("dataset", "file_name", "split", "server_path", "task", "field_names", "columns", "out_of_scope_label", "cleaning")
    DATASET_FIELD_NUMBER: _ClassVar[int]
    FILE_NAME_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    SERVER_PATH_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    FIELD_NAMES_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_SCOPE_LABEL_FIELD_NUMBER: _ClassVar[int]
    CLEANING_FIELD_NUMBER: _ClassVar[int]
    dataset: str
    file_name: str
    split: Split
    server_path: str
    task: Task
    field_names: FieldNames
    columns: _containers.RepeatedScalarFieldContainer[str]
    out_of_scope_label: str
    cleaning: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, dataset: _Optional[str] = ..., file_name: _Optional[str] = ..., split: _Optional[_Union[Split, str]] = ..., server_path: _Optional[str] = ..., task: _Optional[_Union[Task, str]] = ..., field_names: _Optional[_Union[FieldNames, _Mapping]] = ..., columns: _Optional[_Iterable[str]] = ..., out_of_scope_label: _Optional[str] = ..., cleaning: _Optional[_Iterable[str]] = ...) -> None: ...

class FieldNames(_message.Message):
    __slots__ = ("text", "label", "labels", "entities", "split", "id")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    text: str
    label: str
    labels: str
    entities: str
    split: str
    id: str
    def __init__(self, text: _Optional[str] = ..., label: _Optional[str] = ..., labels: _Optional[str] = ..., entities: _Optional[str] = ..., split: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class Dataset(_message.Message):
    __slots__ = ("name", "task", "splits", "labels", "create_time", "error", "findings", "cleaning", "cleaning_reports")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    SPLITS_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    CLEANING_FIELD_NUMBER: _ClassVar[int]
    CLEANING_REPORTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    task: Task
    splits: _containers.RepeatedCompositeFieldContainer[SplitSummary]
    labels: _containers.RepeatedScalarFieldContainer[str]
    create_time: _timestamp_pb2.Timestamp
    error: _status_pb2.Status
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    cleaning: _containers.RepeatedScalarFieldContainer[str]
    cleaning_reports: _containers.RepeatedCompositeFieldContainer[CleaningReport]
    def __init__(self, name: _Optional[str] = ..., task: _Optional[_Union[Task, str]] = ..., splits: _Optional[_Iterable[_Union[SplitSummary, _Mapping]]] = ..., labels: _Optional[_Iterable[str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., cleaning: _Optional[_Iterable[str]] = ..., cleaning_reports: _Optional[_Iterable[_Union[CleaningReport, _Mapping]]] = ...) -> None: ...

class CleaningReport(_message.Message):
    __slots__ = ("step", "changed_count", "dropped_count", "places")
    STEP_FIELD_NUMBER: _ClassVar[int]
    CHANGED_COUNT_FIELD_NUMBER: _ClassVar[int]
    DROPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    step: str
    changed_count: int
    dropped_count: int
    places: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, step: _Optional[str] = ..., changed_count: _Optional[int] = ..., dropped_count: _Optional[int] = ..., places: _Optional[_Iterable[str]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("kind", "message", "count", "places")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Finding.Kind]
        CONFLICT: _ClassVar[Finding.Kind]
        NEAR_CONFLICT: _ClassVar[Finding.Kind]
        LEAK: _ClassVar[Finding.Kind]
        NEAR_LEAK: _ClassVar[Finding.Kind]
        CUT_WORD: _ClassVar[Finding.Kind]
        UNMARKED_MENTION: _ClassVar[Finding.Kind]
        SIMILAR_LABELS: _ClassVar[Finding.Kind]
        UNPROVED_LABEL: _ClassVar[Finding.Kind]
        SMALL_VALIDATION: _ClassVar[Finding.Kind]
        NO_TEST: _ClassVar[Finding.Kind]
        RARE_LABEL: _ClassVar[Finding.Kind]
        IMBALANCE: _ClassVar[Finding.Kind]
        DUPLICATE: _ClassVar[Finding.Kind]
        NEAR_DUPLICATE: _ClassVar[Finding.Kind]
        NOT_COMPARED: _ClassVar[Finding.Kind]
        UNKNOWN_TOKENS: _ClassVar[Finding.Kind]
        FOREIGN_LANGUAGE: _ClassVar[Finding.Kind]
        DIRTY_TEXT: _ClassVar[Finding.Kind]
        REPEATED_ID: _ClassVar[Finding.Kind]
        UNSCORED_COLUMN: _ClassVar[Finding.Kind]
        LEARNT_BEFORE: _ClassVar[Finding.Kind]
        PARENT_UNREADABLE: _ClassVar[Finding.Kind]
        ABSTENTION_LOST: _ClassVar[Finding.Kind]
    KIND_UNSPECIFIED: Finding.Kind
    CONFLICT: Finding.Kind
    NEAR_CONFLICT: Finding.Kind
    LEAK: Finding.Kind
    NEAR_LEAK: Finding.Kind
    CUT_WORD: Finding.Kind
    UNMARKED_MENTION: Finding.Kind
    SIMILAR_LABELS: Finding.Kind
    UNPROVED_LABEL: Finding.Kind
    SMALL_VALIDATION: Finding.Kind
    NO_TEST: Finding.Kind
    RARE_LABEL: Finding.Kind
    IMBALANCE: Finding.Kind
    DUPLICATE: Finding.Kind
    NEAR_DUPLICATE: Finding.Kind
    NOT_COMPARED: Finding.Kind
    UNKNOWN_TOKENS: Finding.Kind
    FOREIGN_LANGUAGE: Finding.Kind
    DIRTY_TEXT: Finding.Kind
    REPEATED_ID: Finding.Kind
    UNSCORED_COLUMN: Finding.Kind
    LEARNT_BEFORE: Finding.Kind
    PARENT_UNREADABLE: Finding.Kind
    ABSTENTION_LOST: Finding.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    kind: Finding.Kind
    message: str
    count: int
    places: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kind: _Optional[_Union[Finding.Kind, str]] = ..., message: _Optional[str] = ..., count: _Optional[int] = ..., places: _Optional[_Iterable[str]] = ...) -> None: ...

class SplitSummary(_message.Message):
    __slots__ = ("split", "row_count", "label_counts", "out_of_scope_count")
    class LabelCountsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    LABEL_COUNTS_FIELD_NUMBER: _ClassVar[int]
    OUT_OF_SCOPE_COUNT_FIELD_NUMBER: _ClassVar[int]
    split: Split
    row_count: int
    label_counts: _containers.ScalarMap[str, int]
    out_of_scope_count: int
    def __init__(self, split: _Optional[_Union[Split, str]] = ..., row_count: _Optional[int] = ..., label_counts: _Optional[_Mapping[str, int]] = ..., out_of_scope_count: _Optional[int] = ...) -> None: ...

class ListDatasetsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListDatasetsResponse(_message.Message):
    __slots__ = ("datasets", "next_page_token")
    DATASETS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    datasets: _containers.RepeatedCompositeFieldContainer[Dataset]
    next_page_token: str
    def __init__(self, datasets: _Optional[_Iterable[_Union[Dataset, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteDatasetRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteDatasetResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, deleted: _Optional[_Iterable[str]] = ...) -> None: ...

class TrainingSpec(_message.Message):
    __slots__ = ("model", "dataset", "recipe", "base_model", "adaptable", "preset", "hyperparameters", "seed", "gates", "continue_from", "search", "like_version", "without_golden_examples", "measures_gain")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    RECIPE_FIELD_NUMBER: _ClassVar[int]
    BASE_MODEL_FIELD_NUMBER: _ClassVar[int]
    ADAPTABLE_FIELD_NUMBER: _ClassVar[int]
    PRESET_FIELD_NUMBER: _ClassVar[int]
    HYPERPARAMETERS_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    CONTINUE_FROM_FIELD_NUMBER: _ClassVar[int]
    SEARCH_FIELD_NUMBER: _ClassVar[int]
    LIKE_VERSION_FIELD_NUMBER: _ClassVar[int]
    WITHOUT_GOLDEN_EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    MEASURES_GAIN_FIELD_NUMBER: _ClassVar[int]
    model: str
    dataset: str
    recipe: Recipe
    base_model: str
    adaptable: bool
    preset: Preset
    hyperparameters: Hyperparameters
    seed: int
    gates: QualityGates
    continue_from: Continuation
    search: Search
    like_version: str
    without_golden_examples: bool
    measures_gain: bool
    def __init__(self, model: _Optional[str] = ..., dataset: _Optional[str] = ..., recipe: _Optional[_Union[Recipe, str]] = ..., base_model: _Optional[str] = ..., adaptable: _Optional[bool] = ..., preset: _Optional[_Union[Preset, str]] = ..., hyperparameters: _Optional[_Union[Hyperparameters, _Mapping]] = ..., seed: _Optional[int] = ..., gates: _Optional[_Union[QualityGates, _Mapping]] = ..., continue_from: _Optional[_Union[Continuation, _Mapping]] = ..., search: _Optional[_Union[Search, _Mapping]] = ..., like_version: _Optional[str] = ..., without_golden_examples: _Optional[bool] = ..., measures_gain: _Optional[bool] = ...) -> None: ...

class Search(_message.Message):
    __slots__ = ("most_trials", "most_minutes", "knobs")
    MOST_TRIALS_FIELD_NUMBER: _ClassVar[int]
    MOST_MINUTES_FIELD_NUMBER: _ClassVar[int]
    KNOBS_FIELD_NUMBER: _ClassVar[int]
    most_trials: int
    most_minutes: float
    knobs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, most_trials: _Optional[int] = ..., most_minutes: _Optional[float] = ..., knobs: _Optional[_Iterable[str]] = ...) -> None: ...

class Continuation(_message.Message):
    __slots__ = ("version", "label_renames", "keeps_labels", "replay_share")
    class LabelRenamesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    LABEL_RENAMES_FIELD_NUMBER: _ClassVar[int]
    KEEPS_LABELS_FIELD_NUMBER: _ClassVar[int]
    REPLAY_SHARE_FIELD_NUMBER: _ClassVar[int]
    version: str
    label_renames: _containers.ScalarMap[str, str]
    keeps_labels: bool
    replay_share: float
    def __init__(self, version: _Optional[str] = ..., label_renames: _Optional[_Mapping[str, str]] = ..., keeps_labels: _Optional[bool] = ..., replay_share: _Optional[float] = ...) -> None: ...

class QualityGates(_message.Message):
    __slots__ = ("champion", "least_metric", "most_points_lost", "most_label_points_lost", "most_slice_points_lost", "fewest_rows", "most_calibration_error", "most_size_bytes", "most_latency_ms")
    CHAMPION_FIELD_NUMBER: _ClassVar[int]
    LEAST_METRIC_FIELD_NUMBER: _ClassVar[int]
    MOST_POINTS_LOST_FIELD_NUMBER: _ClassVar[int]
    MOST_LABEL_POINTS_LOST_FIELD_NUMBER: _ClassVar[int]
    MOST_SLICE_POINTS_LOST_FIELD_NUMBER: _ClassVar[int]
    FEWEST_ROWS_FIELD_NUMBER: _ClassVar[int]
    MOST_CALIBRATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    MOST_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MOST_LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    champion: str
    least_metric: float
    most_points_lost: float
    most_label_points_lost: float
    most_slice_points_lost: float
    fewest_rows: int
    most_calibration_error: float
    most_size_bytes: int
    most_latency_ms: float
    def __init__(self, champion: _Optional[str] = ..., least_metric: _Optional[float] = ..., most_points_lost: _Optional[float] = ..., most_label_points_lost: _Optional[float] = ..., most_slice_points_lost: _Optional[float] = ..., fewest_rows: _Optional[int] = ..., most_calibration_error: _Optional[float] = ..., most_size_bytes: _Optional[int] = ..., most_latency_ms: _Optional[float] = ...) -> None: ...

class Hyperparameters(_message.Message):
    __slots__ = ("max_epochs", "batch_size", "encoder_learning_rate", "head_learning_rate", "warmup_share", "weight_decay", "dropout", "patience", "max_tokens", "pooling", "label_smoothing", "recurrent", "schedule", "layer_decay", "frozen_layers", "freeze_embeddings", "unfreezing_share", "class_weights", "averaging_decay", "precision", "micro_batch_size", "most_refused_share")
    MAX_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    ENCODER_LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    HEAD_LEARNING_RATE_FIELD_NUMBER: _ClassVar[int]
    WARMUP_SHARE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_DECAY_FIELD_NUMBER: _ClassVar[int]
    DROPOUT_FIELD_NUMBER: _ClassVar[int]
    PATIENCE_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    POOLING_FIELD_NUMBER: _ClassVar[int]
    LABEL_SMOOTHING_FIELD_NUMBER: _ClassVar[int]
    RECURRENT_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    LAYER_DECAY_FIELD_NUMBER: _ClassVar[int]
    FROZEN_LAYERS_FIELD_NUMBER: _ClassVar[int]
    FREEZE_EMBEDDINGS_FIELD_NUMBER: _ClassVar[int]
    UNFREEZING_SHARE_FIELD_NUMBER: _ClassVar[int]
    CLASS_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    AVERAGING_DECAY_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    MICRO_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    MOST_REFUSED_SHARE_FIELD_NUMBER: _ClassVar[int]
    max_epochs: int
    batch_size: int
    encoder_learning_rate: float
    head_learning_rate: float
    warmup_share: float
    weight_decay: float
    dropout: float
    patience: int
    max_tokens: int
    pooling: Pooling
    label_smoothing: float
    recurrent: RecurrentShape
    schedule: Schedule
    layer_decay: float
    frozen_layers: int
    freeze_embeddings: bool
    unfreezing_share: float
    class_weights: ClassWeights
    averaging_decay: float
    precision: Precision
    micro_batch_size: int
    most_refused_share: float
    def __init__(self, max_epochs: _Optional[int] = ..., batch_size: _Optional[int] = ..., encoder_learning_rate: _Optional[float] = ..., head_learning_rate: _Optional[float] = ..., warmup_share: _Optional[float] = ..., weight_decay: _Optional[float] = ..., dropout: _Optional[float] = ..., patience: _Optional[int] = ..., max_tokens: _Optional[int] = ..., pooling: _Optional[_Union[Pooling, str]] = ..., label_smoothing: _Optional[float] = ..., recurrent: _Optional[_Union[RecurrentShape, _Mapping]] = ..., schedule: _Optional[_Union[Schedule, str]] = ..., layer_decay: _Optional[float] = ..., frozen_layers: _Optional[int] = ..., freeze_embeddings: _Optional[bool] = ..., unfreezing_share: _Optional[float] = ..., class_weights: _Optional[_Union[ClassWeights, str]] = ..., averaging_decay: _Optional[float] = ..., precision: _Optional[_Union[Precision, str]] = ..., micro_batch_size: _Optional[int] = ..., most_refused_share: _Optional[float] = ...) -> None: ...

class RecurrentShape(_message.Message):
    __slots__ = ("cell", "layers", "width", "embedding_width", "vocabulary_size")
    CELL_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_WIDTH_FIELD_NUMBER: _ClassVar[int]
    VOCABULARY_SIZE_FIELD_NUMBER: _ClassVar[int]
    cell: Cell
    layers: int
    width: int
    embedding_width: int
    vocabulary_size: int
    def __init__(self, cell: _Optional[_Union[Cell, str]] = ..., layers: _Optional[int] = ..., width: _Optional[int] = ..., embedding_width: _Optional[int] = ..., vocabulary_size: _Optional[int] = ...) -> None: ...

class CreateTrainingJobRequest(_message.Message):
    __slots__ = ("spec", "request_id", "promote_to", "validate_only", "override_reason", "priority", "max_duration", "inference_target")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROMOTE_TO_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_REASON_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MAX_DURATION_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_TARGET_FIELD_NUMBER: _ClassVar[int]
    spec: TrainingSpec
    request_id: str
    promote_to: str
    validate_only: bool
    override_reason: str
    priority: int
    max_duration: _duration_pb2.Duration
    inference_target: str
    def __init__(self, spec: _Optional[_Union[TrainingSpec, _Mapping]] = ..., request_id: _Optional[str] = ..., promote_to: _Optional[str] = ..., validate_only: _Optional[bool] = ..., override_reason: _Optional[str] = ..., priority: _Optional[int] = ..., max_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., inference_target: _Optional[str] = ...) -> None: ...

class PlanTrainingJobRequest(_message.Message):
    __slots__ = ("spec", "skip_probe", "find_suspects", "promote_to", "learning_curve")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    SKIP_PROBE_FIELD_NUMBER: _ClassVar[int]
    FIND_SUSPECTS_FIELD_NUMBER: _ClassVar[int]
    PROMOTE_TO_FIELD_NUMBER: _ClassVar[int]
    LEARNING_CURVE_FIELD_NUMBER: _ClassVar[int]
    spec: TrainingSpec
    skip_probe: bool
    find_suspects: bool
    promote_to: str
    learning_curve: bool
    def __init__(self, spec: _Optional[_Union[TrainingSpec, _Mapping]] = ..., skip_probe: _Optional[bool] = ..., find_suspects: _Optional[bool] = ..., promote_to: _Optional[str] = ..., learning_curve: _Optional[bool] = ...) -> None: ...

class TrainingPlan(_message.Message):
    __slots__ = ("spec", "findings", "texts", "cost", "advice", "suspects", "learning_curve")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    SUSPECTS_FIELD_NUMBER: _ClassVar[int]
    LEARNING_CURVE_FIELD_NUMBER: _ClassVar[int]
    spec: TrainingSpec
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    texts: TextFacts
    cost: TrainingCost
    advice: _containers.RepeatedCompositeFieldContainer[Advice]
    suspects: _containers.RepeatedCompositeFieldContainer[Suspect]
    learning_curve: LearningCurve
    def __init__(self, spec: _Optional[_Union[TrainingSpec, _Mapping]] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., texts: _Optional[_Union[TextFacts, _Mapping]] = ..., cost: _Optional[_Union[TrainingCost, _Mapping]] = ..., advice: _Optional[_Iterable[_Union[Advice, _Mapping]]] = ..., suspects: _Optional[_Iterable[_Union[Suspect, _Mapping]]] = ..., learning_curve: _Optional[_Union[LearningCurve, _Mapping]] = ...) -> None: ...

class LearningCurve(_message.Message):
    __slots__ = ("metric_name", "points", "gain", "gain_low", "gain_high", "verdict", "train_row_count")
    class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VERDICT_UNSPECIFIED: _ClassVar[LearningCurve.Verdict]
        RISING: _ClassVar[LearningCurve.Verdict]
        FLAT: _ClassVar[LearningCurve.Verdict]
        UNCLEAR: _ClassVar[LearningCurve.Verdict]
    VERDICT_UNSPECIFIED: LearningCurve.Verdict
    RISING: LearningCurve.Verdict
    FLAT: LearningCurve.Verdict
    UNCLEAR: LearningCurve.Verdict
    class Point(_message.Message):
        __slots__ = ("row_count", "score")
        ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
        SCORE_FIELD_NUMBER: _ClassVar[int]
        row_count: int
        score: float
        def __init__(self, row_count: _Optional[int] = ..., score: _Optional[float] = ...) -> None: ...
    METRIC_NAME_FIELD_NUMBER: _ClassVar[int]
    POINTS_FIELD_NUMBER: _ClassVar[int]
    GAIN_FIELD_NUMBER: _ClassVar[int]
    GAIN_LOW_FIELD_NUMBER: _ClassVar[int]
    GAIN_HIGH_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    TRAIN_ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    metric_name: str
    points: _containers.RepeatedCompositeFieldContainer[LearningCurve.Point]
    gain: float
    gain_low: float
    gain_high: float
    verdict: LearningCurve.Verdict
    train_row_count: int
    def __init__(self, metric_name: _Optional[str] = ..., points: _Optional[_Iterable[_Union[LearningCurve.Point, _Mapping]]] = ..., gain: _Optional[float] = ..., gain_low: _Optional[float] = ..., gain_high: _Optional[float] = ..., verdict: _Optional[_Union[LearningCurve.Verdict, str]] = ..., train_row_count: _Optional[int] = ...) -> None: ...

class Suspect(_message.Message):
    __slots__ = ("place", "labels", "suggested_labels", "confidence", "start", "end")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_LABELS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    place: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    suggested_labels: _containers.RepeatedScalarFieldContainer[str]
    confidence: float
    start: int
    end: int
    def __init__(self, place: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., suggested_labels: _Optional[_Iterable[str]] = ..., confidence: _Optional[float] = ..., start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class TextFacts(_message.Message):
    __slots__ = ("row_count", "window_count", "long_row_count", "median_tokens", "p95_tokens", "most_tokens", "unknown_token_share", "language_shares")
    class LanguageSharesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    WINDOW_COUNT_FIELD_NUMBER: _ClassVar[int]
    LONG_ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    MEDIAN_TOKENS_FIELD_NUMBER: _ClassVar[int]
    P95_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MOST_TOKENS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_TOKEN_SHARE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_SHARES_FIELD_NUMBER: _ClassVar[int]
    row_count: int
    window_count: int
    long_row_count: int
    median_tokens: int
    p95_tokens: int
    most_tokens: int
    unknown_token_share: float
    language_shares: _containers.ScalarMap[str, float]
    def __init__(self, row_count: _Optional[int] = ..., window_count: _Optional[int] = ..., long_row_count: _Optional[int] = ..., median_tokens: _Optional[int] = ..., p95_tokens: _Optional[int] = ..., most_tokens: _Optional[int] = ..., unknown_token_share: _Optional[float] = ..., language_shares: _Optional[_Mapping[str, float]] = ...) -> None: ...

class TrainingCost(_message.Message):
    __slots__ = ("total_steps", "step_duration", "duration", "peak_memory_bytes", "training_count")
    TOTAL_STEPS_FIELD_NUMBER: _ClassVar[int]
    STEP_DURATION_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    PEAK_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    TRAINING_COUNT_FIELD_NUMBER: _ClassVar[int]
    total_steps: int
    step_duration: _duration_pb2.Duration
    duration: _duration_pb2.Duration
    peak_memory_bytes: int
    training_count: int
    def __init__(self, total_steps: _Optional[int] = ..., step_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., peak_memory_bytes: _Optional[int] = ..., training_count: _Optional[int] = ...) -> None: ...

class Advice(_message.Message):
    __slots__ = ("field", "value", "reason")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    field: str
    value: str
    reason: str
    def __init__(self, field: _Optional[str] = ..., value: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class TrainingJob(_message.Message):
    __slots__ = ("id", "spec", "request_id", "promote_to", "state", "cancel_requested", "progress", "model_version", "metrics", "error", "create_time", "start_time", "end_time", "revision", "override_reason", "stop_requested", "priority", "max_duration", "attempt", "queue_place", "inference_target", "rollout", "log_tail")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[TrainingJob.State]
        QUEUED: _ClassVar[TrainingJob.State]
        PREPARING: _ClassVar[TrainingJob.State]
        TRAINING: _ClassVar[TrainingJob.State]
        EVALUATING: _ClassVar[TrainingJob.State]
        EXPORTING: _ClassVar[TrainingJob.State]
        PUBLISHING: _ClassVar[TrainingJob.State]
        SUCCEEDED: _ClassVar[TrainingJob.State]
        REJECTED: _ClassVar[TrainingJob.State]
        CANCELLED: _ClassVar[TrainingJob.State]
        FAILED: _ClassVar[TrainingJob.State]
        STOPPED: _ClassVar[TrainingJob.State]
        ROLLING_OUT: _ClassVar[TrainingJob.State]
    STATE_UNSPECIFIED: TrainingJob.State
    QUEUED: TrainingJob.State
    PREPARING: TrainingJob.State
    TRAINING: TrainingJob.State
    EVALUATING: TrainingJob.State
    EXPORTING: TrainingJob.State
    PUBLISHING: TrainingJob.State
    SUCCEEDED: TrainingJob.State
    REJECTED: TrainingJob.State
    CANCELLED: TrainingJob.State
    FAILED: TrainingJob.State
    STOPPED: TrainingJob.State
    ROLLING_OUT: TrainingJob.State
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROMOTE_TO_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_REASON_FIELD_NUMBER: _ClassVar[int]
    STOP_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MAX_DURATION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    QUEUE_PLACE_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_TARGET_FIELD_NUMBER: _ClassVar[int]
    ROLLOUT_FIELD_NUMBER: _ClassVar[int]
    LOG_TAIL_FIELD_NUMBER: _ClassVar[int]
    id: str
    spec: TrainingSpec
    request_id: str
    promote_to: str
    state: TrainingJob.State
    cancel_requested: bool
    progress: Progress
    model_version: str
    metrics: _containers.ScalarMap[str, float]
    error: _status_pb2.Status
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    revision: int
    override_reason: str
    stop_requested: bool
    priority: int
    max_duration: _duration_pb2.Duration
    attempt: int
    queue_place: QueuePlace
    inference_target: str
    rollout: Rollout
    log_tail: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., spec: _Optional[_Union[TrainingSpec, _Mapping]] = ..., request_id: _Optional[str] = ..., promote_to: _Optional[str] = ..., state: _Optional[_Union[TrainingJob.State, str]] = ..., cancel_requested: _Optional[bool] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., model_version: _Optional[str] = ..., metrics: _Optional[_Mapping[str, float]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., override_reason: _Optional[str] = ..., stop_requested: _Optional[bool] = ..., priority: _Optional[int] = ..., max_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., attempt: _Optional[int] = ..., queue_place: _Optional[_Union[QueuePlace, _Mapping]] = ..., inference_target: _Optional[str] = ..., rollout: _Optional[_Union[Rollout, _Mapping]] = ..., log_tail: _Optional[_Iterable[str]] = ...) -> None: ...

class Rollout(_message.Message):
    __slots__ = ("live_count", "address_count")
    LIVE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_COUNT_FIELD_NUMBER: _ClassVar[int]
    live_count: int
    address_count: int
    def __init__(self, live_count: _Optional[int] = ..., address_count: _Optional[int] = ...) -> None: ...

class QueuePlace(_message.Message):
    __slots__ = ("ahead_count", "expected_wait_duration")
    AHEAD_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_WAIT_DURATION_FIELD_NUMBER: _ClassVar[int]
    ahead_count: int
    expected_wait_duration: _duration_pb2.Duration
    def __init__(self, ahead_count: _Optional[int] = ..., expected_wait_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class RetrainModelRequest(_message.Message):
    __slots__ = ("model", "dataset", "alias", "continues", "promote", "override_reason", "gates", "inference_target", "request_id", "priority", "max_duration")
    class Promote(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PROMOTE_UNSPECIFIED: _ClassVar[RetrainModelRequest.Promote]
        IF_GATES_PASS: _ClassVar[RetrainModelRequest.Promote]
        NEVER: _ClassVar[RetrainModelRequest.Promote]
        ALWAYS_WITH_REASON: _ClassVar[RetrainModelRequest.Promote]
    PROMOTE_UNSPECIFIED: RetrainModelRequest.Promote
    IF_GATES_PASS: RetrainModelRequest.Promote
    NEVER: RetrainModelRequest.Promote
    ALWAYS_WITH_REASON: RetrainModelRequest.Promote
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DATASET_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    CONTINUES_FIELD_NUMBER: _ClassVar[int]
    PROMOTE_FIELD_NUMBER: _ClassVar[int]
    OVERRIDE_REASON_FIELD_NUMBER: _ClassVar[int]
    GATES_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_TARGET_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    MAX_DURATION_FIELD_NUMBER: _ClassVar[int]
    model: str
    dataset: str
    alias: str
    continues: bool
    promote: RetrainModelRequest.Promote
    override_reason: str
    gates: QualityGates
    inference_target: str
    request_id: str
    priority: int
    max_duration: _duration_pb2.Duration
    def __init__(self, model: _Optional[str] = ..., dataset: _Optional[str] = ..., alias: _Optional[str] = ..., continues: _Optional[bool] = ..., promote: _Optional[_Union[RetrainModelRequest.Promote, str]] = ..., override_reason: _Optional[str] = ..., gates: _Optional[_Union[QualityGates, _Mapping]] = ..., inference_target: _Optional[str] = ..., request_id: _Optional[str] = ..., priority: _Optional[int] = ..., max_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class StopTrainingJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListTrainingJobEventsRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListTrainingJobEventsResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[TrainingJobEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[TrainingJobEvent, _Mapping]]] = ...) -> None: ...

class TrainingJobEvent(_message.Message):
    __slots__ = ("number", "time", "kind", "attempt", "detail")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[TrainingJobEvent.Kind]
        ACCEPTED: _ClassVar[TrainingJobEvent.Kind]
        ATTEMPT_STARTED: _ClassVar[TrainingJobEvent.Kind]
        ATTENDED_ELSEWHERE: _ClassVar[TrainingJobEvent.Kind]
        PHASE_ENTERED: _ClassVar[TrainingJobEvent.Kind]
        ATTEMPT_LOST: _ClassVar[TrainingJobEvent.Kind]
        REQUEUED: _ClassVar[TrainingJobEvent.Kind]
        CANCEL_REQUESTED: _ClassVar[TrainingJobEvent.Kind]
        STOP_REQUESTED: _ClassVar[TrainingJobEvent.Kind]
        STOPPED_EARLY: _ClassVar[TrainingJobEvent.Kind]
        ROLLOUT_CHANGED: _ClassVar[TrainingJobEvent.Kind]
        ENDED: _ClassVar[TrainingJobEvent.Kind]
    KIND_UNSPECIFIED: TrainingJobEvent.Kind
    ACCEPTED: TrainingJobEvent.Kind
    ATTEMPT_STARTED: TrainingJobEvent.Kind
    ATTENDED_ELSEWHERE: TrainingJobEvent.Kind
    PHASE_ENTERED: TrainingJobEvent.Kind
    ATTEMPT_LOST: TrainingJobEvent.Kind
    REQUEUED: TrainingJobEvent.Kind
    CANCEL_REQUESTED: TrainingJobEvent.Kind
    STOP_REQUESTED: TrainingJobEvent.Kind
    STOPPED_EARLY: TrainingJobEvent.Kind
    ROLLOUT_CHANGED: TrainingJobEvent.Kind
    ENDED: TrainingJobEvent.Kind
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    number: int
    time: _timestamp_pb2.Timestamp
    kind: TrainingJobEvent.Kind
    attempt: int
    detail: str
    def __init__(self, number: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[_Union[TrainingJobEvent.Kind, str]] = ..., attempt: _Optional[int] = ..., detail: _Optional[str] = ...) -> None: ...

class ReadTrainingJobLogRequest(_message.Message):
    __slots__ = ("id", "attempt", "follow")
    ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    id: str
    attempt: int
    follow: bool
    def __init__(self, id: _Optional[str] = ..., attempt: _Optional[int] = ..., follow: _Optional[bool] = ...) -> None: ...

class TrainingJobLog(_message.Message):
    __slots__ = ("attempt", "text")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    text: str
    def __init__(self, attempt: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("step", "total_steps", "epoch", "loss", "metric_name", "metric", "best_metric", "remaining_duration", "rows_per_second", "trial")
    STEP_FIELD_NUMBER: _ClassVar[int]
    TOTAL_STEPS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LOSS_FIELD_NUMBER: _ClassVar[int]
    METRIC_NAME_FIELD_NUMBER: _ClassVar[int]
    METRIC_FIELD_NUMBER: _ClassVar[int]
    BEST_METRIC_FIELD_NUMBER: _ClassVar[int]
    REMAINING_DURATION_FIELD_NUMBER: _ClassVar[int]
    ROWS_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    TRIAL_FIELD_NUMBER: _ClassVar[int]
    step: int
    total_steps: int
    epoch: int
    loss: float
    metric_name: str
    metric: float
    best_metric: float
    remaining_duration: _duration_pb2.Duration
    rows_per_second: float
    trial: int
    def __init__(self, step: _Optional[int] = ..., total_steps: _Optional[int] = ..., epoch: _Optional[int] = ..., loss: _Optional[float] = ..., metric_name: _Optional[str] = ..., metric: _Optional[float] = ..., best_metric: _Optional[float] = ..., remaining_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., rows_per_second: _Optional[float] = ..., trial: _Optional[int] = ...) -> None: ...

class GetTrainingJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListTrainingJobsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "model")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    model: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class ListTrainingJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[TrainingJob]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[TrainingJob, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class WatchTrainingJobRequest(_message.Message):
    __slots__ = ("id", "after_revision")
    ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_REVISION_FIELD_NUMBER: _ClassVar[int]
    id: str
    after_revision: int
    def __init__(self, id: _Optional[str] = ..., after_revision: _Optional[int] = ...) -> None: ...

class CancelTrainingJobRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class ListBaseModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListBaseModelsResponse(_message.Message):
    __slots__ = ("base_models",)
    BASE_MODELS_FIELD_NUMBER: _ClassVar[int]
    base_models: _containers.RepeatedCompositeFieldContainer[BaseModel]
    def __init__(self, base_models: _Optional[_Iterable[_Union[BaseModel, _Mapping]]] = ...) -> None: ...

class BaseModel(_message.Message):
    __slots__ = ("id", "description", "languages", "licence", "parameter_count", "max_tokens", "available", "digest", "pooling", "is_default", "size_bytes", "tokenizer_family", "source", "revision", "tasks", "limits", "layer_count")
    ID_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    LANGUAGES_FIELD_NUMBER: _ClassVar[int]
    LICENCE_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_COUNT_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    POOLING_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOKENIZER_FAMILY_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    LAYER_COUNT_FIELD_NUMBER: _ClassVar[int]
    id: str
    description: str
    languages: _containers.RepeatedScalarFieldContainer[str]
    licence: str
    parameter_count: int
    max_tokens: int
    available: bool
    digest: str
    pooling: Pooling
    is_default: bool
    size_bytes: int
    tokenizer_family: str
    source: str
    revision: str
    tasks: _containers.RepeatedScalarFieldContainer[Task]
    limits: str
    layer_count: int
    def __init__(self, id: _Optional[str] = ..., description: _Optional[str] = ..., languages: _Optional[_Iterable[str]] = ..., licence: _Optional[str] = ..., parameter_count: _Optional[int] = ..., max_tokens: _Optional[int] = ..., available: _Optional[bool] = ..., digest: _Optional[str] = ..., pooling: _Optional[_Union[Pooling, str]] = ..., is_default: _Optional[bool] = ..., size_bytes: _Optional[int] = ..., tokenizer_family: _Optional[str] = ..., source: _Optional[str] = ..., revision: _Optional[str] = ..., tasks: _Optional[_Iterable[_Union[Task, str]]] = ..., limits: _Optional[str] = ..., layer_count: _Optional[int] = ...) -> None: ...
