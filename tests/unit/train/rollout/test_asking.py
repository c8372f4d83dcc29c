"""What is made of what servers answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from services.train.rollout import asking
from services.train.rollout.asking import ask, ask_all
from services.train.rollout.snapshots import Refusal, Snapshot
from shared.errors import ModelLoadingError, ModelNotFoundError, ModelNotLoadableError, TagsmithError
from shared.names import AliasName, VersionName
from shared.rpc.boundary import Guarded
from shared.rpc.status import to_status
from shared.stubs.inference.v1 import inference_pb2 as pb
from shared.stubs.inference.v1.inference_pb2_grpc import (
    InferenceServiceServicer,
    add_InferenceServiceServicer_to_server,
)

ALIAS = AliasName("support", "production")
V7, V8 = VersionName("support", 7), VersionName("support", 8)
ACTIVE, LOADING, FAILED = pb.LoadedModel.ACTIVE, pb.LoadedModel.LOADING, pb.LoadedModel.FAILED
WRONG = ModelNotLoadableError("support@8 cannot be loaded.", model_version="support@8", cause="golden")
REFUSAL = Refusal(V8, "MODEL_NOT_LOADABLE", WRONG.message, "golden", failed_loads=2)


class Servicer(InferenceServiceServicer):
    """Says what it is told to."""

    def __init__(self, answer: pb.LoadedModel | Exception, wait_s: float = 0) -> None:
        self.answer = answer
        self.wait_s = wait_s
        self.requests: list[pb.GetLoadedModelRequest] = []
        self.at_once = self.most_at_once = 0

    async def GetLoadedModel(self, request: pb.GetLoadedModelRequest, context: Any) -> pb.LoadedModel:
        self.requests.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.wait_s)
        self.at_once -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@asynccontextmanager
async def serving(servicer: Servicer | None) -> AsyncIterator[str]:
    """A server's address; None: a server without this service."""
    server = grpc.aio.server()
    if servicer is not None:
        add = add_InferenceServiceServicer_to_server

        class Registering:
            def add_generic_rpc_handlers(self, handlers: Any) -> None:
                server.add_generic_rpc_handlers(tuple(map(Guarded, handlers)))

            def add_registered_method_handlers(self, *_: Any) -> None:
                """Only the generic ones."""

        add(servicer, Registering())  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def loaded(version: VersionName, state: pb.LoadedModel.State, **fields: Any) -> pb.LoadedModel:
    """A version as a server tells of it."""
    return pb.LoadedModel(model_version=str(version), state=state, **fields)


def refused(error: TagsmithError = WRONG, state: pb.LoadedModel.State = FAILED) -> pb.LoadedModel:
    """Version 8, as a server tells of it that could not load it."""
    return loaded(V8, state, error=to_status(error), failed_load_count=2)


ANSWERS: dict[str, tuple[pb.LoadedModel | Exception, Snapshot]] = {
    "old, the move not seen": (loaded(V7, ACTIVE, golden_example_count=3), Snapshot("", V7, 3)),
    "new": (loaded(V8, ACTIVE, golden_example_count=2), Snapshot("", V8, 2)),
    "new, failing": (loaded(V8, ACTIVE, is_failing_probes=True), Snapshot("", V8, 0, True)),
    "old, new loading": (loaded(V7, ACTIVE, successor=loaded(V8, LOADING)), Snapshot("", V7, coming=V8)),
    "old, new refused": (
        loaded(V7, ACTIVE, successor=refused()),
        Snapshot("", V7, coming=V8, refusal=REFUSAL),
    ),
    "old, new refused and tried again": (
        loaded(V7, ACTIVE, successor=refused(state=LOADING)),
        Snapshot("", V7, coming=V8, refusal=REFUSAL),
    ),
    "nothing, new refused": (refused(), Snapshot("", coming=V8, refusal=REFUSAL)),
    "nothing, new loading": (
        ModelLoadingError("wait", model_version="support@8"),
        Snapshot("", coming=V8),
    ),
    "nothing known": (ModelNotFoundError("no", model="support"), Snapshot("", silence="MODEL_NOT_FOUND")),
    "a bug": (RuntimeError("secret words"), Snapshot("", silence="INTERNAL")),
    "no version": (loaded(V7, ACTIVE), Snapshot("", V7)),
    "another product": (
        pb.LoadedModel(model_version="?", state=ACTIVE),
        Snapshot("", silence="UNIMPLEMENTED"),
    ),
    "loading nothing": (ModelLoadingError("wait"), Snapshot("", silence="UNIMPLEMENTED")),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_is_told_as_it_is(kind: str) -> None:
    """Each of the ways in which a server can stand to a version; and what is asked is the alias, to be loaded."""
    answer, expected = ANSWERS[kind]
    servicer = Servicer(answer)
    async with serving(servicer) as address:
        snapshot = await ask(address, ALIAS)
    assert snapshot.address == address
    assert snapshot == Snapshot(address, *(getattr(expected, name) for name in Snapshot.__slots__[1:]))
    assert servicer.requests == [pb.GetLoadedModelRequest(model="support@production", load=True)]


async def test_silence_has_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without this service, one that hangs, one that is gone, and a name that is none: told within the deadline."""
    monkeypatch.setattr(asking, "ANSWER_S", 0.5)
    async with serving(None) as address:
        assert (await ask(address, ALIAS)).silence == "UNIMPLEMENTED"
    assert (await ask(address, ALIAS)).silence == "UNAVAILABLE"
    async with serving(Servicer(loaded(V7, ACTIVE), wait_s=30)) as address:
        assert (await ask(address, ALIAS)).silence == "DEADLINE_EXCEEDED"
    silence = (await ask("no-such-host.invalid:1", ALIAS)).silence
    assert silence in ("UNAVAILABLE", "DEADLINE_EXCEEDED")  # a resolver may take its time


async def test_a_servers_words_are_bounded() -> None:
    """They may come to stand in the alias's history: one line, printable, not for ever."""
    error = ModelNotLoadableError("a\nb\x1b[31m" + "x" * 600, model_version="support@8", cause="c")
    async with serving(Servicer(refused(error))) as address:
        refusal = (await ask(address, ALIAS)).refusal
    assert refusal is not None
    assert refusal.message.startswith("a b [31mxxx")
    assert (len(refusal.message), refusal.message.isprintable()) == (300, True)


async def test_many_are_asked_some_at_a_time() -> None:
    """Each once, and answered in order."""
    servicer = Servicer(loaded(V8, ACTIVE), wait_s=0.02)
    async with serving(servicer) as address:
        snapshots = await ask_all([address] * 100, ALIAS)
    assert [each.serving for each in snapshots] == [V8] * 100
    assert len(servicer.requests) == 100
    assert 1 < servicer.most_at_once <= 32
