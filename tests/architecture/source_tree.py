"""The files of the project: what git tracks or would track."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@cache
def project_files() -> tuple[Path, ...]:
    """Return every file that is not ignored, relative to the root. Skips the test where the tree is no git checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return tuple(
        path for path in map(Path, sorted(filter(None, listed.split("\0")))) if (ROOT / path).is_file()
    )


def read(path: Path) -> str:
    """Return a project file's text; bytes that are not UTF-8 are replaced."""
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def written_modules() -> list[Path]:
    """Return the Python modules that people write: generated stubs are left out."""
    return [
        path for path in project_files() if path.suffix == ".py" and not path.is_relative_to("shared/stubs")
    ]
