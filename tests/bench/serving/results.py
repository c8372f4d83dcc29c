"""The result file: what was measured, where, with which versions, and what it was held to."""

import json
import subprocess
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import Any, Final

from tests.bench.hardware import hardware
from tests.bench.rows import RESULTS
from tests.bench.serving.aims import claims
from tests.bench.serving.measures import faults
from tests.bench.serving.quiet import Figures

RESULT: Final = RESULTS / "serving" / "cpu.json"
_PACKAGES: Final = ("onnxruntime", "grpcio", "numpy", "tokenizers", "protobuf")


def surroundings() -> dict[str, Any]:
    """Return the hardware and the versions."""
    versions = {"python": python_version(), **{package: version(package) for package in _PACKAGES}}
    return {"hardware": hardware(), "versions": versions}


def keep(path: Path, arm: str, scenario: str, figures: Figures) -> list[dict[str, Any]]:
    """Put a scenario's figures into the file and return its claims; figures of another machine or of other versions go out of it."""
    known = json.loads(path.read_text()) if path.exists() else {}
    here = surroundings()
    if {name: known.get(name) for name in here} != here:
        known = {**here, "arms": {}}
    known["arms"].setdefault(arm, {})[scenario] = {**figures, "faults": faults(figures), "commit": _commit()}
    known["claims"] = claims(known["arms"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(known), indent=1) + "\n")
    return [claim for claim in known["claims"] if (claim["arm"], claim["scenario"]) == (arm, scenario)]


def _commit() -> str:
    """Name what was measured: the commit, with a mark if the services' files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(("git", *words), capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--", "services", "shared")
    return git("rev-parse", "--short=10", "HEAD") + ("-dirty" if changed else "")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list) else value
