"""The RPCs: decode, call, encode. Errors are mapped by the interceptor."""

import asyncio
import math
from typing import TYPE_CHECKING, Any

import grpc

from services.infer import wire
from services.infer.answering import Answering
from services.infer.residency.residency import Residency
from shared.names import parse_reference
from shared.stubs.inference.v1 import inference_pb2 as pb
from shared.stubs.inference.v1.inference_pb2_grpc import InferenceServiceServicer

if TYPE_CHECKING:  # generic in its type stub only
    Context = grpc.aio.ServicerContext[Any, Any]


class InferenceServicer(InferenceServiceServicer):
    """tagsmith.inference.v1.InferenceService."""

    def __init__(self, answering: Answering, residency: Residency) -> None:
        """Answer by `answering`, tell of `residency`."""
        self._answering = answering
        self._residency = residency

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

    async def ListLoadedModels(
        self, request: pb.ListLoadedModelsRequest, context: "Context"
    ) -> pb.ListLoadedModelsResponse:
        """List what is in memory."""
        residents = self._residency.residents
        models = [wire.loaded_model(each, self._residency.aliases_of(each.version)) for each in residents]
        return pb.ListLoadedModelsResponse(loaded_models=models)

    async def GetLoadedModel(self, request: pb.GetLoadedModelRequest, context: "Context") -> pb.LoadedModel:
        """Tell of one version in memory."""
        resident = self._residency.resident(parse_reference(request.model))
        return wire.loaded_model(resident, self._residency.aliases_of(resident.version))


def _deadline_s(context: "Context") -> float:
    """When the caller stops waiting, on the event loop's clock."""
    remaining_s = context.time_remaining()
    return math.inf if remaining_s is None else asyncio.get_running_loop().time() + remaining_s
