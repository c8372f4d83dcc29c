"""The only place where domain errors become google.rpc.Status, and are read back.

Every Status carries exactly one ErrorInfo; problems go into BadRequest, retryable errors carry RetryInfo.
"""

from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from shared.errors import Problem, ProblemsError, TagsmithError

DOMAIN: Final = "tagsmith"

# Trailers above 8 KiB are refused by peers' defaults, and then the caller learns nothing at all. The Status travels in base64
# and its message a second time in clear.
_LARGEST_STATUS_BYTES: Final = 4500
_LONGEST_MESSAGE: Final = 700
_LONGEST_DESCRIPTION: Final = 300

CODES: Final[dict[str, int]] = {
    "TEXT_EMPTY": code_pb2.INVALID_ARGUMENT,
    "TEXT_TOO_LONG": code_pb2.INVALID_ARGUMENT,
    "BATCH_SIZE_INVALID": code_pb2.INVALID_ARGUMENT,
    "FIELD_INVALID": code_pb2.INVALID_ARGUMENT,
    "NAME_MALFORMED": code_pb2.INVALID_ARGUMENT,
    "DATASET_INVALID": code_pb2.INVALID_ARGUMENT,
    "SPEC_INVALID": code_pb2.INVALID_ARGUMENT,
    "PATH_NOT_ALLOWED": code_pb2.PERMISSION_DENIED,
    "MODEL_NOT_FOUND": code_pb2.NOT_FOUND,
    "VERSION_NOT_FOUND": code_pb2.NOT_FOUND,
    "ALIAS_NOT_FOUND": code_pb2.NOT_FOUND,
    "JOB_NOT_FOUND": code_pb2.NOT_FOUND,
    "DATASET_NOT_FOUND": code_pb2.NOT_FOUND,
    "BASE_MODEL_NOT_FOUND": code_pb2.NOT_FOUND,
    "TASK_MISMATCH": code_pb2.FAILED_PRECONDITION,
    "VERSION_REJECTED": code_pb2.FAILED_PRECONDITION,
    "JOB_ALREADY_FINISHED": code_pb2.FAILED_PRECONDITION,
    "REQUEST_ID_REUSED": code_pb2.ALREADY_EXISTS,
    "VERSION_CONFLICT": code_pb2.ALREADY_EXISTS,
    "ALIAS_CONFLICT": code_pb2.ABORTED,
    "QUEUE_FULL": code_pb2.RESOURCE_EXHAUSTED,
    "MODEL_LOADING": code_pb2.UNAVAILABLE,
    "SERVER_DRAINING": code_pb2.UNAVAILABLE,
    "DEADLINE_EXPIRED_IN_QUEUE": code_pb2.DEADLINE_EXCEEDED,
    "ARTIFACT_CORRUPT": code_pb2.DATA_LOSS,
    "STORE_UNAVAILABLE": code_pb2.UNAVAILABLE,
    "MODEL_NOT_LOADABLE": code_pb2.FAILED_PRECONDITION,
    "TRAINING_DIVERGED": code_pb2.ABORTED,
    "VERSIONS_NOT_COMPARABLE": code_pb2.FAILED_PRECONDITION,
    "DATASET_IN_USE": code_pb2.FAILED_PRECONDITION,
    "QUALITY_GATES_FAILED": code_pb2.FAILED_PRECONDITION,
    "ROLLOUT_FAILED": code_pb2.FAILED_PRECONDITION,
    "TRAINING_OUT_OF_MEMORY": code_pb2.ABORTED,
    "TRAINER_LOST": code_pb2.ABORTED,
    "GATE_REJECTED": code_pb2.FAILED_PRECONDITION,
    "INTERNAL": code_pb2.INTERNAL,
}


def make_status(
    reason: str,
    message: str,
    metadata: dict[str, str],
    *,
    problems: tuple[Problem, ...] = (),
    retry_after_ms: int | None = None,
) -> status_pb2.Status:
    """Build a Status from an error's parts; `reason` is a key of CODES.

    As many of `problems` are carried as a gRPC trailer holds; the metadata says how many there are.
    """
    message = _clipped(message, _LONGEST_MESSAGE)
    details: list[any_pb2.Any] = [
        _packed(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata))
    ]
    if retry_after_ms is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(retry_after_ms)
        details.append(_packed(error_details_pb2.RetryInfo(retry_delay=delay)))
    status = status_pb2.Status(code=CODES[reason], message=message, details=details)
    if not problems and "field" in metadata:
        problems = (Problem(metadata["field"], message.removeprefix(f"{metadata['field']}: ")),)
    request = error_details_pb2.BadRequest()
    for problem in problems:
        request.field_violations.add(
            field=_clipped(problem.field, _LONGEST_DESCRIPTION),
            description=_clipped(problem.description, _LONGEST_DESCRIPTION),
        )
        if status.ByteSize() + request.ByteSize() > _LARGEST_STATUS_BYTES:
            del request.field_violations[-1]
            break
    if request.field_violations:
        status.details.append(_packed(request))
    return status


def to_status(error: TagsmithError) -> status_pb2.Status:
    """Turn a domain error into its Status."""
    problems = error.problems if isinstance(error, ProblemsError) else ()
    return make_status(
        error.reason, error.message, error.metadata, problems=problems, retry_after_ms=error.retry_after_ms
    )


def internal_status(incident: str) -> status_pb2.Status:
    """Make the Status of something unforeseen: the id under which it was logged, and nothing else."""
    return make_status("INTERNAL", f"internal error, incident {incident}", {"incident": incident})


@dataclass(frozen=True, slots=True)
class Explained:
    """A Status as a client reads it. `code` is the gRPC code's name; `reason` is empty if the peer sent no ErrorInfo."""

    code: str
    reason: str
    message: str
    metadata: dict[str, str]
    problems: tuple[Problem, ...]
    retry_after_ms: int | None


def read_status(status: status_pb2.Status) -> Explained:
    """Read a Status that make_status built, or any other."""
    info = error_details_pb2.ErrorInfo()
    request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    retry_after_ms = None
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(request)
        if detail.Unpack(retry):
            retry_after_ms = retry.retry_delay.ToMilliseconds()
    return Explained(
        code=code_pb2.Code.Name(status.code),
        reason=info.reason,
        message=status.message,
        metadata=dict(info.metadata),
        problems=tuple(Problem(each.field, each.description) for each in request.field_violations),
        retry_after_ms=retry_after_ms,
    )


def explain(error: grpc.RpcError) -> Explained:
    """Read a failed call, sync or aio; of one whose Status a proxy replaced or dropped, its code and words."""
    try:
        status = rpc_status.from_call(_AsCall(error))
    except ValueError:  # the Status says another thing than the call: the call is what happened
        status = None
    if status is not None:
        return read_status(status)
    return Explained(error.code().name, "", error.details() or "", {}, (), None)


class _AsCall:
    """rpc_status.from_call reads calls; AioRpcError has the same three methods, but its metadata may be None."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.code = error.code
        self.details = error.details
        self._metadata: Any = error.trailing_metadata() or ()

    def trailing_metadata(self) -> list[tuple[str, str | bytes]]:
        return [(key, value) for key, value in self._metadata]


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _packed(message: error_details_pb2.ErrorInfo) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
