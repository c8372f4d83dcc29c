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

class OffsetUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OFFSET_UNIT_UNSPECIFIED: _ClassVar[OffsetUnit]
    UNICODE_CODE_POINTS: _ClassVar[OffsetUnit]
    UTF8_BYTES: _ClassVar[OffsetUnit]
    UTF16_CODE_UNITS: _ClassVar[OffsetUnit]
OFFSET_UNIT_UNSPECIFIED: OffsetUnit
UNICODE_CODE_POINTS: OffsetUnit
UTF8_BYTES: OffsetUnit
UTF16_CODE_UNITS: OffsetUnit

class ClassifyRequest(_message.Message):
    __slots__ = ("model", "texts", "top_k", "min_score")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    model: str
    texts: _containers.RepeatedScalarFieldContainer[str]
    top_k: int
    min_score: float
    def __init__(self, model: _Optional[str] = ..., texts: _Optional[_Iterable[str]] = ..., top_k: _Optional[int] = ..., min_score: _Optional[float] = ...) -> None: ...

class ClassifyResponse(_message.Message):
    __slots__ = ("model_version", "results", "timing")
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    model_version: str
    results: _containers.RepeatedCompositeFieldContainer[ClassifyResult]
    timing: Timing
    def __init__(self, model_version: _Optional[str] = ..., results: _Optional[_Iterable[_Union[ClassifyResult, _Mapping]]] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ...) -> None: ...

class ClassifyResult(_message.Message):
    __slots__ = ("classification", "error")
    CLASSIFICATION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    classification: Classification
    error: _status_pb2.Status
    def __init__(self, classification: _Optional[_Union[Classification, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class Classification(_message.Message):
    __slots__ = ("labels", "window_count")
    LABELS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_COUNT_FIELD_NUMBER: _ClassVar[int]
    labels: _containers.RepeatedCompositeFieldContainer[LabelScore]
    window_count: int
    def __init__(self, labels: _Optional[_Iterable[_Union[LabelScore, _Mapping]]] = ..., window_count: _Optional[int] = ...) -> None: ...

class LabelScore(_message.Message):
    __slots__ = ("label", "score", "is_given")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    IS_GIVEN_FIELD_NUMBER: _ClassVar[int]
    label: str
    score: float
    is_given: bool
    def __init__(self, label: _Optional[str] = ..., score: _Optional[float] = ..., is_given: _Optional[bool] = ...) -> None: ...

class ExtractEntitiesRequest(_message.Message):
    __slots__ = ("model", "texts", "offset_unit", "min_score")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    OFFSET_UNIT_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    model: str
    texts: _containers.RepeatedScalarFieldContainer[str]
    offset_unit: OffsetUnit
    min_score: float
    def __init__(self, model: _Optional[str] = ..., texts: _Optional[_Iterable[str]] = ..., offset_unit: _Optional[_Union[OffsetUnit, str]] = ..., min_score: _Optional[float] = ...) -> None: ...

class ExtractEntitiesResponse(_message.Message):
    __slots__ = ("model_version", "results", "offset_unit", "timing")
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    OFFSET_UNIT_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    model_version: str
    results: _containers.RepeatedCompositeFieldContainer[ExtractEntitiesResult]
    offset_unit: OffsetUnit
    timing: Timing
    def __init__(self, model_version: _Optional[str] = ..., results: _Optional[_Iterable[_Union[ExtractEntitiesResult, _Mapping]]] = ..., offset_unit: _Optional[_Union[OffsetUnit, str]] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ...) -> None: ...

class ExtractEntitiesResult(_message.Message):
    __slots__ = ("entities", "error")
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    entities: Entities
    error: _status_pb2.Status
    def __init__(self, entities: _Optional[_Union[Entities, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class Entities(_message.Message):
    __slots__ = ("entities", "window_count")
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_COUNT_FIELD_NUMBER: _ClassVar[int]
    entities: _containers.RepeatedCompositeFieldContainer[Entity]
    window_count: int
    def __init__(self, entities: _Optional[_Iterable[_Union[Entity, _Mapping]]] = ..., window_count: _Optional[int] = ...) -> None: ...

class Entity(_message.Message):
    __slots__ = ("label", "start", "end", "surface", "score")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SURFACE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    label: str
    start: int
    end: int
    surface: str
    score: float
    def __init__(self, label: _Optional[str] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., surface: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class AnalyzeRequest(_message.Message):
    __slots__ = ("models", "texts", "top_k", "min_score", "offset_unit")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_UNIT_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedScalarFieldContainer[str]
    texts: _containers.RepeatedScalarFieldContainer[str]
    top_k: int
    min_score: float
    offset_unit: OffsetUnit
    def __init__(self, models: _Optional[_Iterable[str]] = ..., texts: _Optional[_Iterable[str]] = ..., top_k: _Optional[int] = ..., min_score: _Optional[float] = ..., offset_unit: _Optional[_Union[OffsetUnit, str]] = ...) -> None: ...

class AnalyzeResponse(_message.Message):
    __slots__ = ("analyses",)
    ANALYSES_FIELD_NUMBER: _ClassVar[int]
    analyses: _containers.RepeatedCompositeFieldContainer[Analysis]
    def __init__(self, analyses: _Optional[_Iterable[_Union[Analysis, _Mapping]]] = ...) -> None: ...

class Analysis(_message.Message):
    __slots__ = ("classify", "extract_entities")
    CLASSIFY_FIELD_NUMBER: _ClassVar[int]
    EXTRACT_ENTITIES_FIELD_NUMBER: _ClassVar[int]
    classify: ClassifyResponse
    extract_entities: ExtractEntitiesResponse
    def __init__(self, classify: _Optional[_Union[ClassifyResponse, _Mapping]] = ..., extract_entities: _Optional[_Union[ExtractEntitiesResponse, _Mapping]] = ...) -> None: ...

class StreamClassifyRequest(_message.Message):
    __slots__ = ("id", "request")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    request: ClassifyRequest
    def __init__(self, id: _Optional[str] = ..., request: _Optional[_Union[ClassifyRequest, _Mapping]] = ...) -> None: ...

class StreamClassifyResponse(_message.Message):
    __slots__ = ("id", "response", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    response: ClassifyResponse
    error: _status_pb2.Status
    def __init__(self, id: _Optional[str] = ..., response: _Optional[_Union[ClassifyResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class StreamExtractEntitiesRequest(_message.Message):
    __slots__ = ("id", "request")
    ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    request: ExtractEntitiesRequest
    def __init__(self, id: _Optional[str] = ..., request: _Optional[_Union[ExtractEntitiesRequest, _Mapping]] = ...) -> None: ...

class StreamExtractEntitiesResponse(_message.Message):
    __slots__ = ("id", "response", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: str
    response: ExtractEntitiesResponse
    error: _status_pb2.Status
    def __init__(self, id: _Optional[str] = ..., response: _Optional[_Union[ExtractEntitiesResponse, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class Timing(_message.Message):
    __slots__ = ("tokenize_duration", "queue_duration", "inference_duration", "token_count", "padded_token_count", "largest_batch", "variant")
    TOKENIZE_DURATION_FIELD_NUMBER: _ClassVar[int]
    QUEUE_DURATION_FIELD_NUMBER: _ClassVar[int]
    INFERENCE_DURATION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    PADDED_TOKEN_COUNT_FIELD_NUMBER: _ClassVar[int]
    LARGEST_BATCH_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    tokenize_duration: _duration_pb2.Duration
    queue_duration: _duration_pb2.Duration
    inference_duration: _duration_pb2.Duration
    token_count: int
    padded_token_count: int
    largest_batch: int
    variant: str
    def __init__(self, tokenize_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., queue_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., inference_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., token_count: _Optional[int] = ..., padded_token_count: _Optional[int] = ..., largest_batch: _Optional[int] = ..., variant: _Optional[str] = ...) -> None: ...

class ListLoadedModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListLoadedModelsResponse(_message.Message):
    __slots__ = ("loaded_models",)
    LOADED_MODELS_FIELD_NUMBER: _ClassVar[int]
    loaded_models: _containers.RepeatedCompositeFieldContainer[LoadedModel]
    def __init__(self, loaded_models: _Optional[_Iterable[_Union[LoadedModel, _Mapping]]] = ...) -> None: ...

class GetLoadedModelRequest(_message.Message):
    __slots__ = ("model", "load")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    model: str
    load: bool
    def __init__(self, model: _Optional[str] = ..., load: _Optional[bool] = ...) -> None: ...

class LoadedModel(_message.Message):
    __slots__ = ("model_version", "task", "state", "execution_provider", "variant", "aliases", "labels", "max_tokens", "graph_bytes", "load_time", "error", "memory_bytes", "run_costs", "golden_example_count", "is_failing_probes", "failed_load_count", "successor")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[LoadedModel.State]
        LOADING: _ClassVar[LoadedModel.State]
        ACTIVE: _ClassVar[LoadedModel.State]
        DRAINING: _ClassVar[LoadedModel.State]
        FAILED: _ClassVar[LoadedModel.State]
    STATE_UNSPECIFIED: LoadedModel.State
    LOADING: LoadedModel.State
    ACTIVE: LoadedModel.State
    DRAINING: LoadedModel.State
    FAILED: LoadedModel.State
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    TASK_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    GRAPH_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOAD_TIME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    RUN_COSTS_FIELD_NUMBER: _ClassVar[int]
    GOLDEN_EXAMPLE_COUNT_FIELD_NUMBER: _ClassVar[int]
    IS_FAILING_PROBES_FIELD_NUMBER: _ClassVar[int]
    FAILED_LOAD_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUCCESSOR_FIELD_NUMBER: _ClassVar[int]
    model_version: str
    task: str
    state: LoadedModel.State
    execution_provider: str
    variant: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.RepeatedScalarFieldContainer[str]
    max_tokens: int
    graph_bytes: int
    load_time: _timestamp_pb2.Timestamp
    error: _status_pb2.Status
    memory_bytes: int
    run_costs: _containers.RepeatedCompositeFieldContainer[RunCost]
    golden_example_count: int
    is_failing_probes: bool
    failed_load_count: int
    successor: LoadedModel
    def __init__(self, model_version: _Optional[str] = ..., task: _Optional[str] = ..., state: _Optional[_Union[LoadedModel.State, str]] = ..., execution_provider: _Optional[str] = ..., variant: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., labels: _Optional[_Iterable[str]] = ..., max_tokens: _Optional[int] = ..., graph_bytes: _Optional[int] = ..., load_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., memory_bytes: _Optional[int] = ..., run_costs: _Optional[_Iterable[_Union[RunCost, _Mapping]]] = ..., golden_example_count: _Optional[int] = ..., is_failing_probes: _Optional[bool] = ..., failed_load_count: _Optional[int] = ..., successor: _Optional[_Union[LoadedModel, _Mapping]] = ...) -> None: ...

class RunCost(_message.Message):
    __slots__ = ("windows", "tokens", "duration")
    WINDOWS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    windows: int
    tokens: int
    duration: _duration_pb2.Duration
    def __init__(self, windows: _Optional[int] = ..., tokens: _Optional[int] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
