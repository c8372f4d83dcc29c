"""Protos to the domain and back. Pure; the only module but the servicer that knows the generated code."""

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from services.infer.batching.outcomes import Incident
from services.infer.calls import AnalyzeCall, Answer, ClassifyCall, Entity, ExtractCall, TextAnswer
from services.infer.residency.footprint import total_bytes
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
_LONGEST_ID_BYTES: Final = 128
_STREAM_TEXTS: Final = 256  # of a stream that are worked on at once
_STREAM_BYTES: Final = 1 << 20
_STATES: Final = {
    State.QUEUED: pb.LoadedModel.LOADING,
    State.LOADING: pb.LoadedModel.LOADING,
    State.ACTIVE: pb.LoadedModel.ACTIVE,
    State.DRAINING: pb.LoadedModel.DRAINING,
    State.FAILED: pb.LoadedModel.FAILED,
}


def classify_call(request: pb.ClassifyRequest, *, deadline_s: float, is_bulk: bool = False) -> ClassifyCall:
    """Read a request. Raises NameMalformedError."""
    return ClassifyCall(
        references=(parse_reference(request.model),),
        texts=request.texts,
        min_score=request.min_score,
        top_k=request.top_k,
        deadline_s=deadline_s,
        is_bulk=is_bulk,
    )


def extract_call(
    request: pb.ExtractEntitiesRequest, *, deadline_s: float, is_bulk: bool = False
) -> ExtractCall:
    """Read a request. Raises NameMalformedError, FieldInvalidError for a unit that this server does not know."""
    return ExtractCall(
        references=(parse_reference(request.model),),
        texts=request.texts,
        min_score=request.min_score,
        unit=_unit(request.offset_unit),
        deadline_s=deadline_s,
        is_bulk=is_bulk,
    )


def analyze_call(request: pb.AnalyzeRequest, *, deadline_s: float) -> AnalyzeCall:
    """Read a request. Raises NameMalformedError, FieldInvalidError for a unit that this server does not know."""
    return AnalyzeCall(
        references=[
            parse_reference(model, field=f"models[{place}]") for place, model in enumerate(request.models)
        ],
        texts=request.texts,
        min_score=request.min_score,
        top_k=request.top_k,
        unit=_unit(request.offset_unit),
        deadline_s=deadline_s,
    )


def check_id(id_: str) -> None:
    """Raise FieldInvalidError for an id of a stream's message that is too long to be sent back."""
    size_bytes = len(id_.encode())
    if size_bytes > _LONGEST_ID_BYTES:
        raise FieldInvalidError(
            f"id: {size_bytes} bytes, the limit is {_LONGEST_ID_BYTES}.", field="id", value=size_bytes
        )


def weight(message: pb.StreamClassifyRequest | pb.StreamExtractEntitiesRequest) -> float:
    """Return which part of a stream's allowance a message takes, of 1; several may take more together by the last one."""
    size_bytes = message.ByteSize()
    return max(max(1, len(message.request.texts)) / _STREAM_TEXTS, size_bytes / _STREAM_BYTES)


def classify_response(answer: Answer[LabelScore]) -> pb.ClassifyResponse:
    """Write the answer of a ClassifyCall."""
    return pb.ClassifyResponse(
        model_version=str(answer.version),
        results=[_classify_result(outcome) for outcome in answer.outcomes],
        timing=_timing(answer),
    )


def extract_response(answer: Answer[Entity], call: ExtractCall | AnalyzeCall) -> pb.ExtractEntitiesResponse:
    """Write the answer of an ExtractCall."""
    return pb.ExtractEntitiesResponse(
        model_version=str(answer.version),
        results=[_extract_result(outcome) for outcome in answer.outcomes],
        offset_unit=call.unit,
        timing=_timing(answer),
    )


def analyze_response(answers: Sequence[Answer[Any]], call: AnalyzeCall) -> pb.AnalyzeResponse:
    """Write the answers of an AnalyzeCall."""
    return pb.AnalyzeResponse(
        analyses=[
            pb.Analysis(extract_entities=extract_response(answer, call))
            if answer.task == "entities"
            else pb.Analysis(classify=classify_response(answer))
            for answer in answers
        ]
    )


def loaded_model(resident: Resident, aliases: list[str]) -> pb.LoadedModel:
    """Write a version in memory; what only its manifest tells is left out until it is loaded."""
    message = pb.LoadedModel(
        model_version=str(resident.version),
        state=_STATES[resident.state],
        aliases=aliases,
        failed_load_count=resident.failures,
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
        message.golden_example_count = len(manifest.golden_examples)
        message.is_failing_probes = resident.loaded.is_failing_probes
        message.memory_bytes = total_bytes([resident.loaded.footprint])
        message.run_costs.extend(
            pb.RunCost(windows=cell.windows, tokens=cell.tokens, duration=_duration(cell.ms / 1000))
            for cell in resident.loaded.lane.cost.cells
        )
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


def _unit(number: int) -> OffsetUnit:
    if number not in _UNITS:
        raise FieldInvalidError(f"offset_unit: {number} is no unit.", field="offset_unit", value=number)
    return _UNITS[number]


def _timing(answer: Answer[Any]) -> pb.Timing:
    timing = answer.timing
    return pb.Timing(
        tokenize_duration=_duration(timing.tokenize_s),
        queue_duration=_duration(timing.queue_s),
        inference_duration=_duration(timing.inference_s),
        token_count=timing.token_count,
        padded_token_count=timing.padded_token_count,
        largest_batch=timing.largest_batch,
        variant=answer.variant,
    )


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int(1e9 * (seconds - whole)))
