"""Health, on a port of its own with nothing else on it, so that probes never wait behind work.

Three names: `startup` turns SERVING once and stays; `liveness` is SERVING while the event loop answers; `readiness` says whether
to send calls here. The empty name, which simple clients ask for, repeats `readiness`.
"""

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from shared.rpc.server import bind

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class HealthServer:
    """The health server of a process. All calls from its event loop."""

    def __init__(self, host: str, port: int) -> None:
        """Bind to host:port (0: any free one). Raises PortTakenError."""
        self._servicer = health.aio.HealthServicer()
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        health_pb2_grpc.add_HealthServicer_to_server(self._servicer, self._server)
        self._draining = False
        self.port = bind(self._server, host, port)

    async def start(self) -> None:
        """Answer: alive, not started, not ready."""
        await self._servicer.set("liveness", _SERVING)
        await self._servicer.set("startup", _NOT_SERVING)
        await self.set_ready(ready=False)
        await self._server.start()

    async def set_started(self) -> None:
        """Say that start-up is over."""
        await self._servicer.set("startup", _SERVING)

    async def set_ready(self, *, ready: bool) -> None:
        """Say whether to send calls here; without effect once draining."""
        status = _SERVING if ready and not self._draining else _NOT_SERVING
        await self._servicer.set("readiness", status)
        await self._servicer.set("", status)

    async def drain(self) -> None:
        """Turn not ready for good."""
        self._draining = True
        await self.set_ready(ready=False)

    async def stop(self) -> None:
        """Stop answering."""
        await self._server.stop(grace=0.5)
