"""A bare grpc.aio server that sends every request back, on the event loop that Tagsmith has too: what the wire alone costs, and whether it keeps memory.

`python -m tests.bench.serving.echo` prints its port and serves until stdin closes.
"""

import asyncio
import sys
from typing import Any, Final

import grpc
import uvloop

_SERVICE, _METHOD = "tagsmith.inference.v1.InferenceService", "Classify"
_LIMIT: Final = [("grpc.so_reuseport", 0)]


async def echo(request: bytes, context: Any) -> bytes:
    """Send it back."""
    return request


async def main() -> None:
    """Serve until stdin closes."""
    server = grpc.aio.server(options=_LIMIT)
    handlers = {_METHOD: grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    uvloop.run(main())
