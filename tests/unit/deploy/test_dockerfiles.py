"""The images hold what they should and nothing else."""

import re

import pytest

from tests.unit.deploy.dockerfile import ROOT, Dockerfile
from tests.unit.deploy.manifests import WORKLOADS, Workload

each_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.service)
EXTRAS = {"infer": "infer", "train": "train,demo"}
RUNTIMES = ("cpu", "gpu", "openvino")
TORCH = {"torch", "transformers", "train", "optimum-onnx"}


@each_workload
def test_the_extras_are_those_of_the_service(workload: Workload) -> None:
    """An image installs its service's extra and one build of ONNX Runtime, pinned by the constraints; inference no torch."""
    file = Dockerfile.read(workload.service)
    installs = [rest for rest in file.all("RUN", 0) if "pip install" in rest]
    dependencies, code = installs
    assert dependencies.endswith(
        f'pip install --constraint constraints.txt ".[{EXTRAS[workload.service]},${{RUNTIME}}]"'
    )
    assert "--no-deps" in code
    assert "ARG" in [each.word for each in file.stages[0]]
    assert file.all("ARG", 0) == ["RUNTIME=cpu"]
    for runtime in RUNTIMES:
        assert re.search(rf"^# RUNTIME is .*\b{runtime}\b", file.comment, re.MULTILINE)
    if workload.service == "infer":
        assert not TORCH & set(re.findall(r"[\w-]+", dependencies.partition("pip install")[2]))


@each_workload
def test_the_code_is_that_of_the_service(workload: Workload) -> None:
    """Of the services, an image holds only its own; the final stage takes nothing but the installed environment."""
    file = Dockerfile.read(workload.service)
    sources = [source for source, _ in file.copied]
    service = f"services/{workload.service}"
    project = ["pyproject.toml", "constraints.txt", "README.md"]
    assert sources == [*project, "services/__init__.py", "shared/__init__.py", service, "shared"]
    assert all((ROOT / source).exists() for source in sources)
    assert file.all("COPY", -1) == ["--from=build /opt/tagsmith /opt/tagsmith"]


@each_workload
def test_the_image_runs_as_a_plain_user(workload: Workload) -> None:
    """The image runs the service as the user that the pods ask for, and writes below folders that the pods mount."""
    file = Dockerfile.read(workload.service)
    user = workload.pod["securityContext"]
    assert file.all("USER", -1) == [f"{user['runAsUser']}:{user['runAsGroup']}"]
    assert file.all("ENTRYPOINT", -1) == [f'["python", "-m", "services.{workload.service}"]']
    mounts = {mount["mountPath"] for mount in workload.container["volumeMounts"]}
    assert file.environment["PYTHONSAFEPATH"] == "1"  # the working directory is writable
    assert file.environment["ORT_DISABLE_TELEMETRY"] == "1"
    written = {
        value
        for name, value in file.environment.items()
        if name in ("HOME", "TMPDIR") or name.endswith("_DIR")
    }
    assert written <= mounts
    assert file.environment[f"TAGSMITH_{workload.service.upper()}_HOST"] == "0.0.0.0"  # noqa: S104  # a pod's own address


@each_workload
def test_the_ports_are_those_of_the_pods(workload: Workload) -> None:
    """The image exposes the container's ports."""
    (exposed,) = Dockerfile.read(workload.service).all("EXPOSE", -1)
    assert list(map(int, exposed.split())) == list(workload.ports.values())


def test_the_build_context_is_named() -> None:
    """Nothing enters a build but what the images copy: the rest of the folder is shut out."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {
        source.split("/")[0] for each in WORKLOADS for source, _ in Dockerfile.read(each.service).copied
    }
    assert allowed == copied
