"""Real gRPC servers that answer commands with what a test wants."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from grpc_status import rpc_status

from services.cli.session import Session
from shared.rpc.status import make_status
from shared.stubs.inference.v1.inference_pb2_grpc import (
    InferenceServiceServicer,
    add_InferenceServiceServicer_to_server,
)
from shared.stubs.registry.v1.registry_pb2_grpc import (
    RegistryServiceServicer,
    add_RegistryServiceServicer_to_server,
)
from shared.stubs.training.v1.training_pb2_grpc import (
    TrainingServiceServicer,
    add_TrainingServiceServicer_to_server,
)


@contextmanager
def serving(
    *,
    training: TrainingServiceServicer | None = None,
    inference: InferenceServiceServicer | None = None,
    registry: RegistryServiceServicer | None = None,
) -> Iterator[Session]:
    """Serve on any free port; yield a session that is connected to it."""
    server = grpc.server(ThreadPoolExecutor(4))
    port = server.add_insecure_port("127.0.0.1:0")
    add_TrainingServiceServicer_to_server(training or TrainingServiceServicer(), server)
    add_InferenceServiceServicer_to_server(inference or InferenceServiceServicer(), server)
    add_RegistryServiceServicer_to_server(registry or RegistryServiceServicer(), server)
    server.start()
    address = f"127.0.0.1:{port}"
    try:
        with Session(train_address=address, infer_address=address) as session:
            yield session
    finally:
        server.stop(None).wait()


def refuse(context: grpc.ServicerContext, reason: str, *, retry_after_ms: int | None = None) -> None:
    """End a call as the services do."""
    status = make_status(reason, f"{reason} happened", {}, retry_after_ms=retry_after_ms)
    context.abort_with_status(rpc_status.to_status(status))
