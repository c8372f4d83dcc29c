"""What a fresh process really loads: static contracts do not see what libraries import."""

import json
import os
import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tests.architecture.requirements import installed_by
from tests.architecture.source_tree import ROOT

# What an installation of each service may hold besides the core: the extras of its image.
EXTRAS = {"services.infer.app": ("infer", "cpu"), "services.train.app": ("train", "cpu")}


@cache
def loaded_by(module: str) -> frozenset[str]:
    """Return sys.modules after a fresh process imports `module`."""
    code = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return frozenset(json.loads(result.stdout))


@pytest.mark.parametrize("module", EXTRAS)
def test_a_service_process_holds_no_torch(module: str) -> None:
    """Neither service's process loads torch or what would bring it, whatever its libraries do."""
    assert module in loaded_by(module)
    assert not {"torch", "transformers", "optimum", "accelerate"} & loaded_by(module)


@pytest.mark.parametrize(("module", "other"), [EXTRAS, tuple(reversed(EXTRAS))])
def test_a_service_process_holds_no_code_of_the_other(module: str, other: str) -> None:
    """A fresh inference process holds no training code, and the reverse."""
    package = other.rpartition(".")[0]
    assert not [name for name in loaded_by(module) if name.startswith(package)]


def import_without(extras: tuple[str, ...], module: str) -> subprocess.CompletedProcess[str]:
    """Import `module` in a fresh process that finds no library but those of the core and `extras`."""
    installed = installed_by(extras) | {"tagsmith"}
    refused = [
        name
        for name, owners in packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & installed
    ]
    code = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {set(refused)!r}:
            raise ModuleNotFoundError(f"not installed: {{name}}", name=name)
sys.meta_path.insert(0, Refuse())
import {module}
"""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", EXTRAS)
def test_a_service_needs_only_what_its_extras_install(module: str) -> None:
    """A fresh service process starts where no library is installed but the core and the extras of the service's image."""
    result = import_without(EXTRAS[module], module)
    assert result.returncode == 0, result.stderr


def test_a_missing_library_would_be_noticed() -> None:
    """The trainer cannot start with the inference image's libraries: the test above can fail."""
    result = import_without(EXTRAS["services.infer.app"], "services.train.trainer.network")
    assert "not installed: torch" in result.stderr


@pytest.mark.parametrize("module", ["shared.runtime.session", "services.train.trainer.__main__"])
def test_nothing_is_reported_to_others(module: str, tmp_path: Path) -> None:
    """ONNX Runtime, whose official builds report to their maker, starts no reporting in a process of ours: no device id, no queue."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    code = f"import {module}, onnxruntime, time; time.sleep(0.3)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    assert list(tmp_path.rglob("*")) == []
