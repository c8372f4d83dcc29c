"""Asks inference servers what they answer an alias with: a client of their GetLoadedModel, and nothing more.

A look loads the alias where nobody has called it yet, since a version that no server has in memory is live nowhere. Each question has a
channel of its own: one that is kept backs off after a failure, and would see a server that is back again too late.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import grpc

from services.train.rollout.snapshots import Refusal, Snapshot
from shared.errors import NameMalformedError
from shared.names import AliasName, VersionName
from shared.rpc.status import explain, read_status
from shared.stubs.inference.v1 import inference_pb2 as pb
from shared.stubs.inference.v1.inference_pb2_grpc import InferenceServiceStub

ANSWER_S: Final = 5.0  # that an address has
_AT_ONCE: Final = 32
_LONGEST_MESSAGE: Final = 300
_OPTIONS: Final = (
    # A proxy that the environment names for web pages is never the way to these servers.
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


async def ask_all(addresses: Iterable[str], alias: AliasName) -> tuple[Snapshot, ...]:
    """Ask every address, some at a time; result i is of address i."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def ask_in_turn(address: str) -> Snapshot:
        async with room:
            return await ask(address, alias)

    return tuple(await asyncio.gather(*map(ask_in_turn, addresses)))


async def ask(address: str, alias: AliasName) -> Snapshot:
    """Ask one address. What goes wrong is in the snapshot; a server's own words only where it refuses a version."""
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        stub = InferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        request = pb.GetLoadedModelRequest(model=str(alias), load=True)
        try:
            try:
                return _snapshot(address, await stub.GetLoadedModel(request, timeout=ANSWER_S))
            except grpc.aio.AioRpcError as error:
                return _of_error(address, error)
        except NameMalformedError:  # nothing that a Tagsmith server says
            return Snapshot(address, silence="UNIMPLEMENTED")


def _snapshot(address: str, told: pb.LoadedModel) -> Snapshot:
    if told.state != pb.LoadedModel.ACTIVE:  # nothing answers yet: the server tells of what is to
        return Snapshot(address, coming=VersionName.parse(told.model_version), refusal=_refusal(told))
    coming = told.successor if told.HasField("successor") else None
    return Snapshot(
        address,
        serving=VersionName.parse(told.model_version),
        golden_examples=told.golden_example_count,
        is_failing_probes=told.is_failing_probes,
        coming=VersionName.parse(coming.model_version) if coming else None,
        refusal=_refusal(coming) if coming else None,
    )


def _refusal(told: pb.LoadedModel) -> Refusal | None:
    if not told.HasField("error"):
        return None
    error = read_status(told.error)
    return Refusal(
        VersionName.parse(told.model_version),
        reason=error.reason,
        message=_printable(error.message),
        cause=error.metadata.get("cause", ""),
        failed_loads=told.failed_load_count,
    )


def _of_error(address: str, error: grpc.aio.AioRpcError) -> Snapshot:
    explained = explain(error)
    if explained.reason == "MODEL_LOADING":
        return Snapshot(address, coming=VersionName.parse(explained.metadata.get("model_version", "")))
    return Snapshot(address, silence=_printable(explained.reason) or explained.code)


def _printable(text: str) -> str:
    """Return another server's words as they may stand in a record: on one line, of bounded length."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[: _LONGEST_MESSAGE - 1]}…"
