"""Protos to the domain and back. Pure; the only module but the servicer that knows the generated code."""

from datetime import timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration

from services.infer.batching.outcomes import Incident
from services.infer.calls import Answer, CallTiming, ClassifyCall, Entity, ExtractCall, TextAnswer
from services.infer.residency.lifecycle import State
from services.infer.residency.resident import Resident
from shared.errors import FieldInvalidError, TagsmithError
from shared.names import parse_reference
from shared.rpc.status import internal_status, to_status
from shared.runtime.classification import LabelScore
from shared.runtime.offsets import OffsetUnit
from shared.stubs.inference.v1 import inference_pb2 as pb

_UNITS: Final[dict[int, OffsetUnit]] = {
    pb.OFFSET_UNIT_UNSPECIFIED: "UNICODE_CODE_POINTS",
    pb.UNICODE_CODE_POINTS: "UNICODE_CODE_POINTS",
    pb.UTF8_BYTES: "UTF8_BYTES",
    pb.UTF16_CODE_UNITS: "UTF16_CODE_UNITS",
}
_STATES: Final = {
    State.QUEUED: pb.LoadedModel.LOADING,
    State.LOADING: pb.LoadedModel.LOADING,
    State.ACTIVE: pb.LoadedModel.ACTIVE,
    State.DRAINING: pb.LoadedModel.DRAINING,
    State.FAILED: pb.LoadedModel.FAILED,
}


def classify_call(request: pb.ClassifyRequest, *, deadline_s: float) -> ClassifyCall:
    """Read a request. Raises NameMalformedError."""
    return ClassifyCall(
        reference=parse_reference(request.model),
        texts=request.texts,
        min_score=request.min_score,
        top_k=request.top_k,
        deadline_s=deadline_s,
    )


def extract_call(request: pb.ExtractEntitiesRequest, *, deadline_s: float) -> ExtractCall:
    """Read a request. Raises NameMalformedError, FieldInvalidError for a unit that this server does not know."""
    if request.offset_unit not in _UNITS:
        raise FieldInvalidError(
            f"offset_unit: {request.offset_unit} is no unit.", field="offset_unit", value=request.offset_unit
        )
    return ExtractCall(
        reference=parse_reference(request.model),
        texts=request.texts,
        min_score=request.min_score,
        unit=_UNITS[request.offset_unit],
        deadline_s=deadline_s,
    )


def classify_response(answer: Answer[LabelScore]) -> pb.ClassifyResponse:
    """Write the answer of a ClassifyCall."""
    return pb.ClassifyResponse(
        model_version=str(answer.version),
        results=[_classify_result(outcome) for outcome in answer.outcomes],
        timing=_timing(answer.timing),
    )


def extract_response(answer: Answer[Entity], call: ExtractCall) -> pb.ExtractEntitiesResponse:
    """Write the answer of an ExtractCall."""
    return pb.ExtractEntitiesResponse(
        model_version=str(answer.version),
        results=[_extract_result(outcome) for outcome in answer.outcomes],
        offset_unit=call.unit,
        timing=_timing(answer.timing),
    )


def loaded_model(resident: Resident, aliases: list[str]) -> pb.LoadedModel:
    """Write a version in memory; what only its manifest tells is left out until it is loaded."""
    message = pb.LoadedModel(
        model_version=str(resident.version), state=_STATES[resident.state], aliases=aliases
    )
    if resident.error is not None:
        message.error.CopyFrom(to_status(resident.error))
    if resident.loaded is not None:
        model = resident.loaded.model
        manifest = model.manifest
        message.task = manifest.task
        message.execution_provider = model.execution.provider
        message.variant = model.execution.precision
        message.labels.extend(manifest.labels)
        message.max_tokens = manifest.tokenization.max_tokens
        message.graph_bytes = sum(graph.file.size_bytes for graph in model.graphs.values())
        message.load_time.FromDatetime(resident.loaded.load_time)
    return message


def _classify_result(outcome: TextAnswer[LabelScore] | TagsmithError | Incident) -> pb.ClassifyResult:
    if isinstance(outcome, TagsmithError):
        return pb.ClassifyResult(error=to_status(outcome))
    if isinstance(outcome, Incident):
        return pb.ClassifyResult(error=internal_status(outcome.id))
    labels = [pb.LabelScore(**label._asdict()) for label in outcome.found]
    return pb.ClassifyResult(
        classification=pb.Classification(labels=labels, window_count=outcome.window_count)
    )


def _extract_result(outcome: TextAnswer[Entity] | TagsmithError | Incident) -> pb.ExtractEntitiesResult:
    if isinstance(outcome, TagsmithError):
        return pb.ExtractEntitiesResult(error=to_status(outcome))
    if isinstance(outcome, Incident):
        return pb.ExtractEntitiesResult(error=internal_status(outcome.id))
    entities = [
        pb.Entity(
            label=found.label, start=found.start, end=found.end, surface=found.surface, score=found.score
        )
        for found in outcome.found
    ]
    return pb.ExtractEntitiesResult(
        entities=pb.Entities(entities=entities, window_count=outcome.window_count)
    )


def _timing(timing: CallTiming) -> pb.Timing:
    return pb.Timing(
        tokenize_duration=_duration(timing.tokenize_s),
        queue_duration=_duration(timing.queue_s),
        inference_duration=_duration(timing.inference_s),
        token_count=timing.token_count,
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration
