"""The wheel for callers, used as a caller would: built, installed elsewhere, in a process that has nothing of ours."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.e2e.conftest import Up

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "services" / "cli" / "samples" / "support-intents.jsonl"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the freshly built wheel installed in it."""
    folder = tmp_path_factory.mktemp("client")
    builder = ROOT / "protos" / "python" / "build_client.py"
    command = [sys.executable, builder, "--work", folder / "work", "--out", folder / "dist"]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("tagsmith_client-*.whl")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert wheel.name == f"tagsmith_client-{version}-py3-none-any.whl"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        folder / "site",
        wheel,
    ]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "site"


def test_the_readmes_examples_run(up: Up, installed: Path, tmp_path: Path) -> None:
    """The first example of README.md imports, trains, promotes, watches and classifies, the second asks in bulk and several
    versions, the third trains anew and goes live: word for word.
    """
    first, second, third = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL
    )
    shutil.copy(SAMPLE, tmp_path)

    said = _run(first, up, installed, tmp_path)
    assert said.startswith("imported support@sha256:")
    assert "SUCCEEDED" in said
    assert re.search(r"^support@1: \w+ \(\d\.\d\d\)$", said, re.MULTILINE)

    said = _run(second, up, installed, tmp_path)
    assert sorted(line[:5] for line in said.splitlines()) == ["row 1", "row 2", "row 3", "suppo", "suppo"]
    assert re.search(r"^row 1 (\w+)\n(?s:.*)^support@1 \1\nsupport@1 \1$", said, re.MULTILINE)
    assert "row 3 texts[0] is empty" in said

    said = _run(third, up, installed, tmp_path)
    assert "PUBLISHING attempt 1" in said or "ROLLING_OUT attempt 1" in said
    assert said.endswith("support@2 answers at 1 of 1\n")


def _run(example: str, up: Up, installed: Path, folder: Path) -> str:
    guard = "\nimport sys\nassert not {'shared', 'services'} & sys.modules.keys()\n"
    run = subprocess.run(
        [sys.executable, "-c", example + guard],
        cwd=folder,
        env={**up.environment, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_wheel_has_types_and_every_api(installed: Path) -> None:
    """Messages come with their types, for each of the four packages."""
    names = {path.relative_to(installed).as_posix() for path in installed.rglob("*_pb2*")}

    for api, module in (
        ("inference", "inference"),
        ("training", "training"),
        ("registry", "registry"),
        ("errors", "error_reason"),
    ):
        assert {f"tagsmith/{api}/v1/{module}_pb2.py", f"tagsmith/{api}/v1/{module}_pb2.pyi"} <= names
    assert (installed / "tagsmith" / "py.typed").exists()
