"""The closed set of errors that Tagsmith raises on purpose.

An error knows its reason (a value of tagsmith.errors.v1.ErrorReason), the metadata that goes with it, and nothing of gRPC:
`shared.rpc.status` gives each its code, once. Messages and metadata reach callers, so they name fields, rows, files and
numbers, never a user's text. Everything that is not a TagsmithError is unforeseen and reaches callers as INTERNAL without its
message.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class TagsmithError(Exception):
    """Something that a caller or an operator can understand and act on."""

    reason: str  # of a class; of one that relays, of an object
    retry_after_ms: int | None = None  # how long to wait before trying again; None: that would not help

    def __init__(self, message: str, **metadata: str | int) -> None:
        """`message` is for people; every dynamic part of it is in `metadata` too."""
        super().__init__(message)
        self.message = message
        self.metadata = {key: str(value) for key, value in metadata.items()}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a dataset or a spec: where, and what to do about it."""

    field: str  # `train.csv:17`, `spec.hyperparameters.batch_size`
    description: str


class ProblemsError(TagsmithError):
    """Several problems at once, so that they can be mended at once. At most 100 are carried; `problem_count` has them all."""

    MOST_CARRIED = 100

    def __init__(self, summary: str, problems: Sequence[Problem], **metadata: str | int) -> None:
        """`summary` is one line; the first problem joins the message, all go into the details."""
        first = f" First: {problems[0].field}: {problems[0].description}" if problems else ""
        super().__init__(summary + first, problem_count=len(problems), **metadata)
        self.problems = tuple(problems[: self.MOST_CARRIED])


class TextEmptyError(TagsmithError):
    """A text holds nothing to read."""

    reason = "TEXT_EMPTY"


class TextTooLongError(TagsmithError):
    """A text is over the limit on code points."""

    reason = "TEXT_TOO_LONG"


class BatchSizeError(TagsmithError):
    """No text, or too many."""

    reason = "BATCH_SIZE_INVALID"


class FieldInvalidError(TagsmithError):
    """A request field is out of range."""

    reason = "FIELD_INVALID"


class NameMalformedError(TagsmithError):
    """A name does not have its form."""

    reason = "NAME_MALFORMED"


class DatasetInvalidError(ProblemsError):
    """A dataset cannot be used."""

    reason = "DATASET_INVALID"


class SpecInvalidError(ProblemsError):
    """A training spec cannot be carried out."""

    reason = "SPEC_INVALID"


class PathNotAllowedError(TagsmithError):
    """A path lies outside the allow-listed roots."""

    reason = "PATH_NOT_ALLOWED"


class ModelNotFoundError(TagsmithError):
    """No such model."""

    reason = "MODEL_NOT_FOUND"


class VersionNotFoundError(TagsmithError):
    """No such version."""

    reason = "VERSION_NOT_FOUND"


class AliasNotFoundError(TagsmithError):
    """No such alias."""

    reason = "ALIAS_NOT_FOUND"


class JobNotFoundError(TagsmithError):
    """No such job."""

    reason = "JOB_NOT_FOUND"


class DatasetNotFoundError(TagsmithError):
    """No such dataset."""

    reason = "DATASET_NOT_FOUND"


class BaseModelNotFoundError(TagsmithError):
    """No such base model, or its files are not here."""

    reason = "BASE_MODEL_NOT_FOUND"


class TaskMismatchError(TagsmithError):
    """The model does another task."""

    reason = "TASK_MISMATCH"


class VersionRejectedError(TagsmithError):
    """The gate refused this version."""

    reason = "VERSION_REJECTED"


class JobAlreadyFinishedError(TagsmithError):
    """The job has ended."""

    reason = "JOB_ALREADY_FINISHED"


class RequestIdReusedError(TagsmithError):
    """The request id belongs to another spec."""

    reason = "REQUEST_ID_REUSED"


class VersionConflictError(TagsmithError):
    """The version holds another job's manifest."""

    reason = "VERSION_CONFLICT"


class AliasConflictError(TagsmithError):
    """The alias moved, or is not where the caller thought."""

    reason = "ALIAS_CONFLICT"


class QueueFullError(TagsmithError):
    """More work waits than is accepted."""

    reason = "QUEUE_FULL"
    retry_after_ms = 500


class ModelLoadingError(TagsmithError):
    """The model is being loaded."""

    reason = "MODEL_LOADING"
    retry_after_ms = 500


class ServerDrainingError(TagsmithError):
    """This server is stopping."""

    reason = "SERVER_DRAINING"
    retry_after_ms = 100


class DeadlineExpiredError(TagsmithError):
    """The deadline passed before the model ran."""

    reason = "DEADLINE_EXPIRED_IN_QUEUE"


class ArtifactCorruptError(TagsmithError):
    """Stored bytes are not what they should be."""

    reason = "ARTIFACT_CORRUPT"


class StoreUnavailableError(TagsmithError):
    """The store cannot be read or written."""

    reason = "STORE_UNAVAILABLE"
    retry_after_ms = 1000


class ModelNotLoadableError(TagsmithError):
    """A version needs something that this server does not have."""

    reason = "MODEL_NOT_LOADABLE"


class TrainingDivergedError(TagsmithError):
    """Training produced numbers that are not finite."""

    reason = "TRAINING_DIVERGED"


class DatasetInUseError(TagsmithError):
    """A dataset is needed by jobs that have not ended."""

    reason = "DATASET_IN_USE"


class QualityGatesFailedError(TagsmithError):
    """A version fails quality gates, and nobody said why it should be promoted nevertheless."""

    reason = "QUALITY_GATES_FAILED"


class RolloutFailedError(ProblemsError):
    """A new version did not come to answer at every address of its inference target."""

    reason = "ROLLOUT_FAILED"


class VersionsNotComparableError(TagsmithError):
    """Two versions were scored on different rows, or do different tasks."""

    reason = "VERSIONS_NOT_COMPARABLE"


class TrainingOutOfMemoryError(TagsmithError):
    """A single window does not fit into the memory of the training server."""

    reason = "TRAINING_OUT_OF_MEMORY"


class TrainerLostError(TagsmithError):
    """The trainer process ended without a result."""

    reason = "TRAINER_LOST"


class GateRejectedError(TagsmithError):
    """The export gate refused the version."""

    reason = "GATE_REJECTED"


class PortTakenError(Exception):
    """Another process listens on a port that this one was told to use. For operators at start, never for callers."""
