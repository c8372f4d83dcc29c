"""How Tagsmith's gRPC servers are built and bound; that of health is bound only."""

from collections.abc import Sequence
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from shared.errors import PortTakenError
from shared.rpc.boundary import Guarded

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_MOST_PENDING = 100_000


class Server:
    """A grpc.aio server, none of whose handlers lets an error out unmapped. What generated code, binding and draining ask of one."""

    def __init__(self, *, max_connection_age_s: float | None = None) -> None:
        """With `max_connection_age_s` connections take no new calls after about that time, so that clients find new replicas; calls
        in flight end as they would have.
        """
        age = (
            []
            if max_connection_age_s is None
            else [("grpc.max_connection_age_ms", int(1000 * max_connection_age_s))]
        )
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),  # two servers on one port would share its calls in silence
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", -1),
                *age,
                # gRPC would cancel calls beyond a thousand that wait to be taken in, without a word that callers or metrics see:
                # whether there is room is for the service to say.
                ("grpc.server.max_pending_requests", _MOST_PENDING),
                ("grpc.server.max_pending_requests_hard_limit", _MOST_PENDING),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ]
        )
        self.add_insecure_port = self._server.add_insecure_port
        self.start = self._server.start
        self.stop = self._server.stop

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Answer by these handlers."""
        self._server.add_generic_rpc_handlers(tuple(Guarded(each) for each in handlers))

    def add_registered_method_handlers(self, service_name: str, method_handlers: dict[str, Any]) -> None:
        """Do nothing: generated code gives the same handlers a second time so, and gRPC would prefer these, which are not guarded."""


def bind(server: Server | grpc.aio.Server, host: str, port: int) -> int:
    """Bind to host:port (0: any free one) and return the port. Raises PortTakenError."""
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise PortTakenError(
            f"cannot listen on {host}:{port}: another process has the port, or the host is not this machine's. "
            "Stop it or set another port."
        ) from error
    return int(bound)


def add_reflection(server: Server, *services: str) -> None:
    """Let clients ask the server for its services, by full proto name."""
    servicer = reflection.aio.ReflectionServicer([*services, reflection.SERVICE_NAME])
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
