"""RegistryService: decode, ask, encode. Errors are mapped at the boundary (shared.rpc); blocking calls run in threads."""

import asyncio
from functools import partial
from typing import Any

from services.train.comparing import Comparisons
from services.train.pages import PageRequest
from services.train.registry import Registry
from services.train.registry_wire import (
    write_alias,
    write_comparison,
    write_listed,
    write_model,
    write_version,
)
from shared.stubs.registry.v1 import registry_pb2 as pb
from shared.stubs.registry.v1.registry_pb2_grpc import RegistryServiceServicer


class RegistryServicer(RegistryServiceServicer):
    """Shows the model store and moves its aliases."""

    def __init__(self, registry: Registry, comparisons: Comparisons) -> None:
        """Each answers the calls that are about it."""
        self._registry = registry
        self._comparisons = comparisons

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        """See registry.proto."""
        page = PageRequest(request.page_size, request.page_token, of="models")
        models, token = await asyncio.to_thread(self._registry.list_models, page)
        return pb.ListModelsResponse(models=[write_model(each) for each in models], next_page_token=token)

    async def GetModelVersion(self, request: pb.GetModelVersionRequest, context: Any) -> pb.ModelVersion:
        """See registry.proto."""
        version = await asyncio.to_thread(self._registry.version, request.model_version)
        return write_version(*version, with_manifest=True)

    async def ListModelVersions(
        self, request: pb.ListModelVersionsRequest, context: Any
    ) -> pb.ListModelVersionsResponse:
        """See registry.proto."""
        page = PageRequest(request.page_size, request.page_token, of=f"versions of {request.model}")
        versions, token = await asyncio.to_thread(self._registry.list_versions, request.model, page)
        return pb.ListModelVersionsResponse(
            versions=[write_listed(each) for each in versions], next_page_token=token
        )

    async def SetAlias(self, request: pb.SetAliasRequest, context: Any) -> pb.Alias:
        """See registry.proto."""
        expected = request.expected_version if request.HasField("expected_version") else None
        move = partial(self._registry.set_alias, request.model, request.alias, request.version)
        return write_alias(
            await asyncio.to_thread(
                move,
                expected=expected,
                actor=request.actor,
                reason=request.reason,
                override_reason=request.override_reason,
            )
        )

    async def CompareVersions(self, request: pb.CompareVersionsRequest, context: Any) -> pb.VersionComparison:
        """See registry.proto."""
        return write_comparison(
            await asyncio.to_thread(self._comparisons.compare, request.before, request.after)
        )

    async def ListAliasHistory(
        self, request: pb.ListAliasHistoryRequest, context: Any
    ) -> pb.ListAliasHistoryResponse:
        """See registry.proto."""
        page = PageRequest(
            request.page_size, request.page_token, of=f"moves of {request.model}@{request.alias}"
        )
        moves, token = await asyncio.to_thread(
            self._registry.alias_history, request.model, request.alias, page
        )
        return pb.ListAliasHistoryResponse(moves=[write_alias(each) for each in moves], next_page_token=token)
