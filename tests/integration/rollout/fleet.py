"""Three inference servers, each a process of its own with its own cache, and callers that never stop calling them."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from shared.names import VersionName
from shared.rpc.status import explain
from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.integration.infer_service.running import Client, Process, connected, launch
from tests.tiny import TOPICS, topic_label

TEXTS = [f"my {word}" for word in TOPICS]
_BETWEEN_CALLS_S = 0.01


def right_answers(seed: int) -> list[str]:
    """What a tiny version of this seed answers TEXTS with."""
    return [topic_label(word, seed=seed) for word in TOPICS]


@dataclass
class Server:
    """A server, and what its callers have seen of it."""

    process: Process
    client: Client
    answered: list[str] = field(default_factory=list)  # versions, in order, each once in a row
    failures: list[str] = field(default_factory=list)
    calls: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.process.port}"

    async def until_answers(self, version: VersionName, within_s: float = 20) -> None:
        """Wait until callers are answered by a version."""
        async with asyncio.timeout(within_s):
            while self.answered[-1:] != [str(version)]:  # noqa: ASYNC110  # what callers see, no event tells
                await asyncio.sleep(0.02)

    async def call_on(self, model: str, seeds: dict[str, int]) -> None:
        """Call until cancelled; what fails, and what is answered otherwise than the answering version does, is noted."""
        request = pb.ClassifyRequest(model=model, texts=TEXTS, top_k=1)
        while True:
            self.calls += 1
            try:
                response = await self.client.stub.Classify(request, timeout=20)
            except grpc.aio.AioRpcError as error:
                self.failures.append(str(explain(error)))
            else:
                version = response.model_version
                found = [result.classification.labels[0].label for result in response.results]
                if found != right_answers(seeds[version]):
                    self.failures.append(f"{version} answered {found}")
                if self.answered[-1:] != [version]:
                    self.answered.append(version)
            await asyncio.sleep(_BETWEEN_CALLS_S)


@asynccontextmanager
async def fleet(
    store: Path, folder: Path, model: str, seeds: dict[str, int], *differences: dict[str, Any]
) -> AsyncIterator[list[Server]]:
    """A server for each of `differences` (its settings; `store` for one that reads another folder), ready and called; `seeds` tells
    what each version answers. Killed at the end.
    """
    async with AsyncExitStack() as stack:
        started = []
        for number, settings in enumerate(differences):
            reads = settings.pop("store", store)
            process = launch(reads, folder / f"cache-{number}", required_models=model, **settings)
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            started.append(process)
        servers = []
        for launched in started:
            running = await asyncio.to_thread(Process, launched)
            await asyncio.to_thread(running.event, "ready")
            client = await stack.enter_async_context(connected(running.port))
            servers.append(Server(running, client))
        callers = [asyncio.create_task(server.call_on(model, seeds)) for server in servers]
        try:
            for server in servers:
                async with asyncio.timeout(20):
                    while not server.answered:  # noqa: ASYNC110  # what callers see, no event tells
                        await asyncio.sleep(0.01)
            yield servers
        finally:
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)


class Mirror:
    """A copy of a store that follows it, as a replica in another region does: what is there is never written again."""

    def __init__(self, store: Path, folder: Path) -> None:
        self.folder = folder
        self._store = store
        self._aside = folder.with_name("aside")
        self.sync()

    def sync(self) -> None:
        """Copy every object that is not there yet."""
        for part in ("blobs", "models"):
            for source in sorted((self._store / part).rglob("*")):
                copy = self.folder / source.relative_to(self._store)
                if source.is_file() and not copy.exists():
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, self._aside)
                    self._aside.replace(copy)

    def write(self, key: str, data: bytes) -> None:
        """Put an object of the copy's own in the place of one that is to come."""
        (self.folder / key).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / key).write_bytes(data)

    async def follow(self) -> None:
        """Sync until cancelled."""
        while True:
            await asyncio.to_thread(self.sync)
            await asyncio.sleep(0.05)
