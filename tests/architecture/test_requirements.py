"""Every library that an installation brings is pinned, and the tests run with the pinned ones."""

from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.requirements import PROJECT, installed_by
from tests.architecture.source_tree import ROOT

# The ONNX Runtime builds that replace the one of `cpu`; where they are not installed their needs cannot be told.
BUILDS_ELSEWHERE = {"gpu", "openvino"}
# Ray is installed by `make test-ray`, which looks at its pins then.
ELSEWHERE = {*BUILDS_ELSEWHERE, "ray"}
# Wheels that a CUDA build of torch brings, each pinned by torch itself.
PINNED_BY_TORCH = ("nvidia-", "cuda-", "triton")


def pins() -> dict[str, str]:
    """Return the versions of constraints.txt by canonical name."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): pinned for name, pinned in pairs}


def brought(elsewhere: set[str] = ELSEWHERE) -> set[str]:
    """Return every distribution that the extras bring, but for those `elsewhere`, on the machine that runs the tests."""
    found = installed_by(tuple(set(PROJECT["optional-dependencies"]) - elsewhere)) - {"tagsmith"}
    return {name for name in found if not name.startswith(PINNED_BY_TORCH)}


def test_every_requirement_is_pinned() -> None:
    """The constraints name every distribution that an extra brings, dependencies of dependencies included."""
    assert sorted(brought() - set(pins())) == []


def test_the_tests_run_with_the_pinned_versions() -> None:
    """What is installed here is what the constraints say, builds such as `+cpu` apart."""
    installed = {name: version(name).partition("+")[0] for name in brought()}
    assert installed == {name: pinned for name, pinned in pins().items() if name in installed}


@pytest.mark.ray
def test_ray_is_pinned_with_all_it_brings() -> None:
    """So are Ray and its dependencies, and the tests run with the pinned ones."""
    with_ray = brought(BUILDS_ELSEWHERE)
    assert "ray" in with_ray
    assert sorted(with_ray - set(pins())) == []
    assert {name: version(name).partition("+")[0] for name in with_ray} == {
        name: pinned for name, pinned in pins().items() if name in with_ray
    }


def test_the_inference_extra_brings_no_torch() -> None:
    """With `infer` and the build of ONNX Runtime there is no torch, transformers or scikit-learn."""
    assert not {"torch", "transformers", "optimum", "scikit-learn", "scipy"} & installed_by(("infer", "cpu"))
    assert PROJECT["optional-dependencies"]["infer"] == ["uvloop"]


def test_an_installation_takes_one_of_three_builds() -> None:
    """Each extra of a build is that build alone, pinned; they would overwrite each other's files."""
    builds = [
        Requirement(line).name
        for extra in ("cpu", *sorted(BUILDS_ELSEWHERE))
        for line in PROJECT["optional-dependencies"][extra]
    ]
    assert builds == ["onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"]
    assert set(builds) <= set(pins())
