"""The import contracts of pyproject.toml hold, and each one fails for a violation planted in a copy of the tree."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}

# Each violation breaks the contract that it stands under and no other: (module, line to append).
VIOLATIONS = [
    ("shared-knows-no-service", "shared/names.py", "import services"),
    (
        "inference-without-training",
        "services/infer/batching/policy.py",
        "from services.train.spec import JobSpec",
    ),
    ("training-without-inference", "services/train/spec.py", "import services.infer.batching.policy"),
    ("only-the-trainer-imports-torch", "services/train/catalogue.py", "def late():\n    import torch"),
    ("nobody-imports-the-trainer", "services/train/engines/local.py", "import services.train.trainer"),
    ("only-the-ray-modules-import-ray", "services/train/app.py", "def late():\n    import ray"),
    ("only-the-ray-modules-import-ray", "services/train/trainer/on_ray.py", "import ray"),
    ("runtime-owns-inference-libraries", "services/train/catalogue.py", "from tokenizers import Tokenizer"),
    ("runtime-owns-inference-libraries", "services/infer/gate.py", "def late():\n    import onnxruntime"),
    ("stubs-stay-at-the-edge", "services/train/spec.py", "from shared.stubs.training.v1 import training_pb2"),
    ("policies-are-pure", "services/infer/batching/policy.py", "import time"),
    ("policies-are-pure", "shared/runtime/words.py", "import asyncio"),
    ("policies-are-pure", "services/infer/decoding.py", "import asyncio"),
    ("inference-goes-one-way", "services/infer/batching/policy.py", "import services.infer.residency.routes"),
    ("inference-goes-one-way", "services/infer/answering.py", "def late():\n    import services.infer.wire"),
    ("training-goes-one-way", "services/train/engines/port.py", "import services.train.jobs.lifecycle"),
    ("the-command-is-a-client", "services/cli/session.py", "import services.train.spec"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all that lint-imports reads."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in ("services", "shared"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def lint(tree: Path) -> tuple[int, dict[str, str]]:
    """Run lint-imports on a tree and return its exit status and KEPT or BROKEN by contract name."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo"]
    wide = {**os.environ, "COLUMNS": "300"}  # one line a contract
    result = subprocess.run(command, cwd=tree, env=wide, capture_output=True, text=True, check=False)
    return result.returncode, dict(
        re.findall(r"^(\w.*) (KEPT|BROKEN)(?: \(.*\))?$", result.stdout, flags=re.MULTILINE)
    )


def test_the_tree_keeps_every_contract(tree: Path) -> None:
    """No contract is broken, and none is left unchecked."""
    assert lint(tree) == (0, dict.fromkeys(CONTRACTS.values(), "KEPT"))


def test_every_contract_is_violated_below() -> None:
    """Each contract has at least one violation to catch."""
    assert {contract for contract, _, _ in VIOLATIONS} == set(CONTRACTS)


@pytest.mark.parametrize(("contract", "module", "line"), VIOLATIONS)
def test_a_planted_violation_is_caught(tree: Path, contract: str, module: str, line: str) -> None:
    """lint-imports fails for the planted import and names the very contract, lazy imports included."""
    path = tree / module
    before = path.read_text()
    path.write_text(f"{before}\n\n{line}\n")
    try:
        status, outcomes = lint(tree)
    finally:
        path.write_text(before)
    assert status != 0
    assert [name for name, outcome in outcomes.items() if outcome == "BROKEN"] == [CONTRACTS[contract]]
