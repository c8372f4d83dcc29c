"""The pods' own settings start real processes that answer the pods' own probes."""

from pathlib import Path

import grpc

from shared.store import open_store
from shared.store.models import ModelStore
from shared.stubs.inference.v1 import inference_pb2, inference_pb2_grpc
from tests.tiny import publish_tiny
from tests.unit.deploy.manifests import INFER, TRAIN
from tests.unit.deploy.pods import running


def publish_required_models(folder: Path) -> str:
    """Publish what the inference pod waits for, into the store of its mount, and return one model's name."""
    store = ModelStore(open_store(str(folder / INFER.environment["TAGSMITH_STORE"].lstrip("/"))))
    names = INFER.environment["TAGSMITH_INFER_REQUIRED_MODELS"].split(",")
    for name in names:
        version = publish_tiny(store, name, "classification", scratch=folder / "scratch")
        store.set_alias(name, "production", version.number, expected=None, actor="test", reason="first")
    return names[0]


def tree(folder: Path) -> list[str]:
    """Return every path below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_an_inference_pod_serves_from_a_read_only_store(tmp_path: Path) -> None:
    """Without rights and with a read-only store, the service passes all three probes, answers a call, drains and exits with 0."""
    model = publish_required_models(tmp_path)
    store = tmp_path / INFER.environment["TAGSMITH_STORE"].lstrip("/")
    before = tree(store)
    with running(INFER, tmp_path, TAGSMITH_INFER_DRAIN_DELAY_S="0.2") as pod:
        for kind in ("startup", "readiness", "liveness"):
            pod.wait_for(kind)
        with grpc.insecure_channel(f"127.0.0.1:{pod.ports['grpc']}") as channel:
            stub = inference_pb2_grpc.InferenceServiceStub(channel)
            request = inference_pb2.ClassifyRequest(model=model, texts=["my card"])
            answer = stub.Classify(request, timeout=10, wait_for_ready=True)
        assert answer.model_version == f"{model}@1"
        assert pod.stop() == 0, pod.log.read_text()
    assert tree(store) == before


def test_an_inference_pod_without_its_models_is_alive_but_not_ready(tmp_path: Path) -> None:
    """On a new cluster, before the first promotion, a pod passes start-up and liveness and waits, unready."""
    with running(INFER, tmp_path, TAGSMITH_INFER_DRAIN_DELAY_S="0") as pod:
        pod.wait_for("startup")
        pod.wait_for("liveness")
        assert not pod.probe("readiness")
        assert pod.stop() == 0, pod.log.read_text()


def test_a_training_pod_passes_its_probes(tmp_path: Path) -> None:
    """Without rights and with its volumes, the training service passes all three probes, drains and exits with 0."""
    with running(TRAIN, tmp_path) as pod:
        for kind in ("startup", "readiness", "liveness"):
            pod.wait_for(kind)
        assert pod.stop() == 0, pod.log.read_text()
