"""Maps errors and counts calls, once for all methods, so that no servicer method holds a try/except.

A TagsmithError becomes its Status. CancelledError passes: a caller that went away is not an error. Everything else becomes
INTERNAL with an incident id; its traceback goes to the log and never to the caller.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from grpc_status import rpc_status

from shared.errors import FieldInvalidError, TagsmithError
from shared.rpc.status import internal_status, to_status
from shared.telemetry import metrics
from shared.telemetry.logs import get_logger

_log = get_logger()

if TYPE_CHECKING:  # generic in their type stubs only
    _Handler = grpc.RpcMethodHandler[Any, Any]
    _Context = grpc.aio.ServicerContext[Any, Any]


class Guarded(grpc.GenericRpcHandler):
    """Handlers, none of which lets an error out unmapped. Each is wrapped at its first call: an interceptor would be asked at every call."""

    def __init__(self, handlers: grpc.GenericRpcHandler) -> None:
        self._handlers = handlers
        self._guarded: dict[str, _Handler] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> _Handler | None:
        """Return the method's handler, wrapped; of an unknown method, None, which gRPC answers with UNIMPLEMENTED."""
        method = handler_call_details.method
        guarded = self._guarded.get(method)
        if guarded is None:
            handler = self._handlers.service(handler_call_details)
            if handler is None:
                return None
            guarded = self._guarded[method] = _wrapped(handler, method.rsplit("/", 1)[-1])
        return guarded


def _wrapped(handler: _Handler, method: str) -> _Handler:
    if handler.request_streaming and handler.response_streaming:
        factory, behaviour = grpc.stream_stream_rpc_method_handler, handler.stream_stream
    elif handler.request_streaming:
        factory, behaviour = grpc.stream_unary_rpc_method_handler, handler.stream_unary
    elif handler.response_streaming:
        factory, behaviour = grpc.unary_stream_rpc_method_handler, handler.unary_stream
    else:
        factory, behaviour = grpc.unary_unary_rpc_method_handler, handler.unary_unary
    wrap = _streaming if handler.response_streaming else _unary
    # gRPC would answer a request that cannot be read with UNKNOWN and its exception's words.
    parse = handler.request_deserializer or _as_it_is
    parsed = _each_read if handler.request_streaming else _read
    return factory(
        wrap(behaviour, method, lambda request: parsed(request, parse)),
        response_serializer=handler.response_serializer,
    )


def _as_it_is(request: bytes) -> bytes:
    return request


def _read(request: bytes, parse: Callable[[bytes], Any]) -> Any:
    try:
        return parse(request)
    except DecodeError as error:
        raise FieldInvalidError(
            "request: cannot be read: it is no message of this method, or a string in it is not UTF-8.",
            field="request",
        ) from error


async def _each_read(requests: AsyncIterator[bytes], parse: Callable[[bytes], Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _read(request, parse)


def _unary(behaviour: Any, method: str, read: Callable[[Any], Any]) -> Any:
    async def call(request: Any, context: _Context) -> Any:
        with _Counted(method) as counted:
            try:
                return await behaviour(read(request), context)
            except Exception as error:  # noqa: BLE001  # the boundary: _abort maps or logs every kind
                await _abort(error, context, counted, method)

    return call


def _streaming(behaviour: Any, method: str, read: Callable[[Any], Any]) -> Any:
    async def call(request: Any, context: _Context) -> AsyncIterator[Any]:
        with _Counted(method) as counted:
            try:
                async for response in behaviour(read(request), context):
                    yield response
            except Exception as error:  # noqa: BLE001  # the boundary: _abort maps or logs every kind
                await _abort(error, context, counted, method)

    return call


def status_of(error: Exception, method: str) -> status_pb2.Status:
    """Turn what a method raised into a Status; what is unforeseen is logged, under an id that the Status carries."""
    if isinstance(error, TagsmithError):
        return to_status(error)
    incident = secrets.token_hex(4)
    _log.error("unforeseen_error", method=method, incident=incident, exc_info=error)
    return internal_status(incident)


class _Counted:
    """Counts a call by its code and times it; a call that ends by cancellation counts as CANCELLED."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.code = "CANCELLED"
        self.started_s = time.monotonic()

    def __enter__(self) -> _Counted:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        code = "OK" if kind is None else self.code
        metrics.child(metrics.RPC_SECONDS, self.method, code).observe(time.monotonic() - self.started_s)


async def _abort(error: Exception, context: _Context, counted: _Counted, method: str) -> NoReturn:
    converted = rpc_status.to_status(status_of(error, method))
    counted.code = converted.code.name
    await context.abort_with_status(converted)
    raise AssertionError("abort_with_status always raises")
