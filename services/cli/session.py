"""One run of a command: where the services are, how they are called, and where the answer goes.

Channels open at their first use and close with the session. Calls are made again where the service asks for it (RetryInfo),
for a bounded time; nothing else is repeated. Results go to stdout, everything else to stderr, so that `--json` can be piped.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from rich.console import Console, RenderableType

from services.cli.failures import error_lines, error_record
from shared.rpc.status import Explained, explain
from shared.stubs.inference.v1.inference_pb2_grpc import InferenceServiceStub
from shared.stubs.registry.v1.registry_pb2_grpc import RegistryServiceStub
from shared.stubs.training.v1.training_pb2_grpc import TrainingServiceStub

CALL_TIMEOUT_S = 60.0
PATIENCE_S = 60.0
_LEAST_PAUSE_S = 0.05
_PIPE_WIDTH = 400
_CHANNEL_OPTIONS = (
    # A proxy that the environment names for web pages is never the way to these services.
    ("grpc.enable_http_proxy", 0),
    # The entities of 256 long texts are more than gRPC's 4 MiB; the service bounds what it answers by what it was asked.
    ("grpc.max_receive_message_length", -1),
)

Answer = TypeVar("Answer")


class Session:
    """The two services, stdout and stderr. Used by one thread."""

    def __init__(self, *, train_address: str, infer_address: str, as_json: bool = False) -> None:
        """Name the services; nothing is connected yet."""
        self.train_address = train_address
        self.infer_address = infer_address
        self.as_json = as_json
        # In a pipe there is no edge to wrap or cut at.
        self.stdout = Console(
            highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH
        )
        self.stderr = Console(
            highlight=False,
            markup=False,
            emoji=False,
            width=None if sys.stderr.isatty() else _PIPE_WIDTH,
            stderr=True,
        )
        self._channels: dict[str, grpc.Channel] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for channel in self._channels.values():
            channel.close()

    @cached_property
    def training(self) -> TrainingServiceStub:
        """The training service."""
        return TrainingServiceStub(self._channel(self.train_address))  # type: ignore[no-untyped-call]  # generated

    @cached_property
    def registry(self) -> RegistryServiceStub:
        """The registry, which the training service serves."""
        return RegistryServiceStub(self._channel(self.train_address))  # type: ignore[no-untyped-call]  # generated

    @cached_property
    def inference(self) -> InferenceServiceStub:
        """The inference service."""
        return InferenceServiceStub(self._channel(self.infer_address))  # type: ignore[no-untyped-call]  # generated

    def call(
        self,
        rpc: Callable[..., Answer],
        request: object,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
        patience_s: float = PATIENCE_S,
    ) -> Answer:
        """Call a unary RPC; while its errors carry RetryInfo, call again for `patience_s` at most. Raises grpc.RpcError."""
        give_up = time.monotonic() + patience_s
        told = ""
        while True:
            try:
                return rpc(request, timeout=timeout_s)
            except grpc.RpcError as error:
                explained = explain(error)
                pause_ms = explained.retry_after_ms
                if pause_ms is None or time.monotonic() + pause_ms / 1000 > give_up:
                    raise
                if explained.message != told:
                    told = explained.message
                    self.tell(f"{told.rstrip('.')}; trying again, for {patience_s:.0f} s at most")
                time.sleep(max(pause_ms / 1000, _LEAST_PAUSE_S))

    def show(self, record: Mapping[str, Any], *people: RenderableType) -> None:
        """Print a result: `record` as one line of JSON, or what is for people."""
        if self.as_json:
            self.stdout.out(json.dumps(record, ensure_ascii=False), highlight=False)
        else:
            for each in people:
                self.stdout.print(each, soft_wrap=isinstance(each, str))

    def tell(self, line: str) -> None:
        """Say something to people on stderr that is no result."""
        if not self.as_json:
            self.stderr.print(line, soft_wrap=True)

    def complain(self, explained: Explained) -> None:
        """Print an error."""
        if self.as_json:
            self.stderr.out(json.dumps(error_record(explained), ensure_ascii=False), highlight=False)
        else:
            for line in error_lines(explained):
                self.stderr.print(line, soft_wrap=True)

    def _channel(self, address: str) -> grpc.Channel:
        if address not in self._channels:
            self._channels[address] = grpc.insecure_channel(address, options=_CHANNEL_OPTIONS)
        return self._channels[address]
