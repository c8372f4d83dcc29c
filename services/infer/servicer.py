"""The RPCs: decode, call, encode. Errors are mapped at the boundary (shared.rpc)."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import grpc

from services.infer import wire
from services.infer.answering import Answering
from services.infer.residency.residency import Residency
from services.infer.residency.resident import Resident
from services.infer.streaming import answer_stream
from shared.errors import ModelLoadingError, QueueFullError
from shared.names import parse_reference
from shared.rpc.boundary import status_of
from shared.stubs.inference.v1 import inference_pb2 as pb
from shared.stubs.inference.v1.inference_pb2_grpc import InferenceServiceServicer

if TYPE_CHECKING:  # generic in its type stub only
    Context = grpc.aio.ServicerContext[Any, Any]

# Of the time that a caller still has, kept for the way back: an answer a millisecond before the deadline comes too late.
_WAY_BACK_SHARE: Final = 0.05
_LONGEST_WAY_BACK_S: Final = 0.02


class InferenceServicer(InferenceServiceServicer):
    """tagsmith.inference.v1.InferenceService."""

    def __init__(self, answering: Answering, residency: Residency, *, streams_limit: int) -> None:
        """Answer by `answering`, tell of `residency`; at most so many streams are open at once."""
        self._answering = answering
        self._residency = residency
        self._streams_limit = streams_limit
        self._streams = 0

    async def Classify(self, request: pb.ClassifyRequest, context: "Context") -> pb.ClassifyResponse:
        """Classify texts."""
        call = wire.classify_call(request, deadline_s=_deadline_s(context))
        return wire.classify_response(await self._answering.classify(call))

    async def ExtractEntities(
        self, request: pb.ExtractEntitiesRequest, context: "Context"
    ) -> pb.ExtractEntitiesResponse:
        """Extract entities from texts."""
        call = wire.extract_call(request, deadline_s=_deadline_s(context))
        return wire.extract_response(await self._answering.extract(call), call)

    async def Analyze(self, request: pb.AnalyzeRequest, context: "Context") -> pb.AnalyzeResponse:
        """Ask several models about texts."""
        call = wire.analyze_call(request, deadline_s=_deadline_s(context))
        return wire.analyze_response(await self._answering.analyze(call), call)

    async def StreamClassify(
        self, messages: AsyncIterator[pb.StreamClassifyRequest], context: "Context"
    ) -> AsyncIterator[pb.StreamClassifyResponse]:
        """Classify in bulk."""
        deadline_s = _end_s(context)

        async def answer(request: pb.ClassifyRequest) -> pb.ClassifyResponse:
            call = wire.classify_call(request, deadline_s=deadline_s, is_bulk=True)
            return wire.classify_response(await self._answering.classify(call))

        async for response in self._stream(messages, answer, pb.StreamClassifyResponse):
            yield response

    async def StreamExtractEntities(
        self, messages: AsyncIterator[pb.StreamExtractEntitiesRequest], context: "Context"
    ) -> AsyncIterator[pb.StreamExtractEntitiesResponse]:
        """Extract entities in bulk."""
        deadline_s = _end_s(context)

        async def answer(request: pb.ExtractEntitiesRequest) -> pb.ExtractEntitiesResponse:
            call = wire.extract_call(request, deadline_s=deadline_s, is_bulk=True)
            return wire.extract_response(await self._answering.extract(call), call)

        async for response in self._stream(messages, answer, pb.StreamExtractEntitiesResponse):
            yield response

    async def _stream(
        self, messages: AsyncIterator[Any], answer: Callable[[Any], Awaitable[Any]], response_type: Any
    ) -> AsyncIterator[Any]:
        """Answer each message of a stream, or say in its place why not: the stream goes on. Raises QueueFullError for one too many."""

        async def answer_message(message: Any) -> Any:
            try:
                wire.check_id(message.id)
                return response_type(id=message.id, response=await _once_loaded(answer, message.request))
            except Exception as error:  # noqa: BLE001  # status_of maps or logs every kind
                status = status_of(error, response_type.DESCRIPTOR.name.removesuffix("Response"))
                return response_type(id=message.id, error=status)

        if self._streams >= self._streams_limit:
            raise _too_many_streams(self._streams_limit)
        self._streams += 1
        try:
            stop = self._answering.gate.closing
            async for response in answer_stream(messages, answer_message, weight=wire.weight, stop=stop):
                yield response
        finally:
            self._streams -= 1

    async def ListLoadedModels(
        self, request: pb.ListLoadedModelsRequest, context: "Context"
    ) -> pb.ListLoadedModelsResponse:
        """List what is in memory."""
        residents = self._residency.residents
        return pb.ListLoadedModelsResponse(loaded_models=map(self._loaded_model, residents))

    async def GetLoadedModel(self, request: pb.GetLoadedModelRequest, context: "Context") -> pb.LoadedModel:
        """Tell of what answers for a reference, and of what is to take over."""
        reference = parse_reference(request.model)
        if request.load:
            await self._residency.follow(reference)
        message = self._loaded_model(self._residency.resident(reference))
        successor = self._residency.successor(reference)
        if successor is not None:
            message.successor.CopyFrom(self._loaded_model(successor))
        return message

    def _loaded_model(self, resident: Resident) -> pb.LoadedModel:
        return wire.loaded_model(resident, self._residency.aliases_of(resident.version))


async def _once_loaded(answer: Callable[[Any], Awaitable[Any]], request: Any) -> Any:
    """Answer, waiting for the model if it is being loaded: a stream has nowhere else to go, and one that is sent in vain is long."""
    while True:
        try:
            return await answer(request)
        except ModelLoadingError as error:
            await asyncio.sleep((error.retry_after_ms or 0) / 1000)


def _too_many_streams(limit: int) -> QueueFullError:
    error = QueueFullError(
        f"{limit} streams are open, the limit of this server: try again later or add replicas.",
        limit_streams=limit,
    )
    error.retry_after_ms = 1000
    return error


def _end_s(context: "Context") -> float:
    """When the caller stops waiting, on the monotonic clock, which is the event loop's too."""
    remaining_s = context.time_remaining()
    return math.inf if remaining_s is None else time.monotonic() + remaining_s


def _deadline_s(context: "Context") -> float:
    """When a single answer must be on its way back. The answers of a stream are on their way all the time."""
    end_s = _end_s(context)
    if math.isinf(end_s):
        return end_s
    return end_s - min(_LONGEST_WAY_BACK_S, _WAY_BACK_SHARE * (end_s - time.monotonic()))
