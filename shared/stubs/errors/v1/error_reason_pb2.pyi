from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    TEXT_EMPTY: _ClassVar[ErrorReason]
    TEXT_TOO_LONG: _ClassVar[ErrorReason]
    BATCH_SIZE_INVALID: _ClassVar[ErrorReason]
    FIELD_INVALID: _ClassVar[ErrorReason]
    NAME_MALFORMED: _ClassVar[ErrorReason]
    DATASET_INVALID: _ClassVar[ErrorReason]
    SPEC_INVALID: _ClassVar[ErrorReason]
    PATH_NOT_ALLOWED: _ClassVar[ErrorReason]
    MODEL_NOT_FOUND: _ClassVar[ErrorReason]
    VERSION_NOT_FOUND: _ClassVar[ErrorReason]
    ALIAS_NOT_FOUND: _ClassVar[ErrorReason]
    JOB_NOT_FOUND: _ClassVar[ErrorReason]
    DATASET_NOT_FOUND: _ClassVar[ErrorReason]
    BASE_MODEL_NOT_FOUND: _ClassVar[ErrorReason]
    TASK_MISMATCH: _ClassVar[ErrorReason]
    VERSION_REJECTED: _ClassVar[ErrorReason]
    JOB_ALREADY_FINISHED: _ClassVar[ErrorReason]
    REQUEST_ID_REUSED: _ClassVar[ErrorReason]
    VERSION_CONFLICT: _ClassVar[ErrorReason]
    ALIAS_CONFLICT: _ClassVar[ErrorReason]
    QUEUE_FULL: _ClassVar[ErrorReason]
    MODEL_LOADING: _ClassVar[ErrorReason]
    SERVER_DRAINING: _ClassVar[ErrorReason]
    DEADLINE_EXPIRED_IN_QUEUE: _ClassVar[ErrorReason]
    ARTIFACT_CORRUPT: _ClassVar[ErrorReason]
    STORE_UNAVAILABLE: _ClassVar[ErrorReason]
    MODEL_NOT_LOADABLE: _ClassVar[ErrorReason]
    TRAINING_DIVERGED: _ClassVar[ErrorReason]
    TRAINER_LOST: _ClassVar[ErrorReason]
    GATE_REJECTED: _ClassVar[ErrorReason]
    INTERNAL: _ClassVar[ErrorReason]
    TRAINING_OUT_OF_MEMORY: _ClassVar[ErrorReason]
    QUALITY_GATES_FAILED: _ClassVar[ErrorReason]
    VERSIONS_NOT_COMPARABLE: _ClassVar[ErrorReason]
ERROR_REASON_UNSPECIFIED: ErrorReason
TEXT_EMPTY: ErrorReason
TEXT_TOO_LONG: ErrorReason
BATCH_SIZE_INVALID: ErrorReason
FIELD_INVALID: ErrorReason
NAME_MALFORMED: ErrorReason
DATASET_INVALID: ErrorReason
SPEC_INVALID: ErrorReason
PATH_NOT_ALLOWED: ErrorReason
MODEL_NOT_FOUND: ErrorReason
VERSION_NOT_FOUND: ErrorReason
ALIAS_NOT_FOUND: ErrorReason
JOB_NOT_FOUND: ErrorReason
DATASET_NOT_FOUND: ErrorReason
BASE_MODEL_NOT_FOUND: ErrorReason
TASK_MISMATCH: ErrorReason
VERSION_REJECTED: ErrorReason
JOB_ALREADY_FINISHED: ErrorReason
REQUEST_ID_REUSED: ErrorReason
VERSION_CONFLICT: ErrorReason
ALIAS_CONFLICT: ErrorReason
QUEUE_FULL: ErrorReason
MODEL_LOADING: ErrorReason
SERVER_DRAINING: ErrorReason
DEADLINE_EXPIRED_IN_QUEUE: ErrorReason
ARTIFACT_CORRUPT: ErrorReason
STORE_UNAVAILABLE: ErrorReason
MODEL_NOT_LOADABLE: ErrorReason
TRAINING_DIVERGED: ErrorReason
TRAINER_LOST: ErrorReason
GATE_REJECTED: ErrorReason
INTERNAL: ErrorReason
TRAINING_OUT_OF_MEMORY: ErrorReason
QUALITY_GATES_FAILED: ErrorReason
VERSIONS_NOT_COMPARABLE: ErrorReason
