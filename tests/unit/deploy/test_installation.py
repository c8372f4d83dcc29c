"""The inference image's recipe, carried out in a fresh environment: `make test-install`. Takes minutes and a package index."""

import shutil
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from shared.stubs.inference.v1 import inference_pb2, inference_pb2_grpc
from tests.unit.deploy.dockerfile import ROOT, Dockerfile
from tests.unit.deploy.manifests import INFER
from tests.unit.deploy.pods import running
from tests.unit.deploy.test_pods import publish_required_models

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ABSENT = ("torch", "transformers", "optimum", "sklearn", "onnx", "services.train", "services.cli", "tests")


@pytest.fixture(scope="module", params=["cpu", "openvino"])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment made as the inference image is: its files, its extras, its constraints, one wheel."""
    folder = tmp_path_factory.mktemp("installation")
    context = folder / "build"
    for source, destination in Dockerfile.read("infer").copied:
        if (ROOT / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / source, context / destination, ignore=ignored, dirs_exist_ok=True)
        else:
            (context / destination).mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, context / destination)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    made = str(folder / "venv/bin/python")
    pip = [made, "-m", "pip", "install", "--quiet", "--constraint", "constraints.txt"]
    subprocess.run([*pip, f".[infer,{request.param}]"], cwd=context, check=True)
    shutil.rmtree(context)
    return made


def test_the_environment_holds_only_inference(python: str) -> None:
    """With its own extra and a runtime, the environment can import neither torch nor training code."""
    code = f"from importlib.util import find_spec; print([name for name in {ABSENT} if find_spec(name)])"
    result = subprocess.run([python, "-c", code], cwd="/", capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_service_runs_there(python: str, tmp_path: Path) -> None:
    """In that environment the pod becomes ready, answers its probes and a call, and stops with 0."""
    model = publish_required_models(tmp_path)
    with running(INFER, tmp_path, python=python, TAGSMITH_INFER_DRAIN_DELAY_S="0") as pod:
        for kind in ("startup", "readiness", "liveness"):
            pod.wait_for(kind)
        with grpc.insecure_channel(f"127.0.0.1:{pod.ports['grpc']}") as channel:
            request = inference_pb2.ClassifyRequest(model=model, texts=["my card"])
            answer = inference_pb2_grpc.InferenceServiceStub(channel).Classify(request, timeout=10)
        assert answer.results[0].classification.labels
        assert pod.stop() == 0, pod.log.read_text()


def test_require_gpu_without_a_gpu_says_so_and_exits(python: str, tmp_path: Path) -> None:
    """Where there is no CUDA, `require-gpu` ends the process with an error that names the policy and the remedy."""
    with running(INFER, tmp_path, python=python, TAGSMITH_INFER_PROVIDER="require-gpu") as pod:
        assert pod.process.wait(60) not in (0, None)
        told = pod.log.read_text()
    assert "require-gpu" in told
    assert "gpu` extra" in told
    assert "Traceback" not in told
