"""The skip ledger of tests/conftest.py does what it says."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def run_suite(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Run `source` as a suite of its own under our conftest, with `declared reason` declared."""
    shutil.copy(TESTS / "conftest.py", folder)
    (folder / "declared_skips.txt").write_text("# a comment\ndeclared reason\n")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_sample.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_declared_skip_passes_and_is_counted(tmp_path: Path) -> None:
    """A skip for a declared reason leaves the session green and is counted in its last lines."""
    source = "import pytest\ndef test_a(): pytest.skip('declared reason')\ndef test_b(): pass\n"
    result = run_suite(tmp_path, source)
    assert result.returncode == 0, result.stdout
    assert "1 skipped, 0 reasons not declared" in result.stdout


def test_an_undeclared_skip_fails_the_session(tmp_path: Path) -> None:
    """However a test or a module skips, a reason that is not declared fails the session and is named."""
    (tmp_path / "test_module.py").write_text(
        "import pytest\npytest.skip('of a module', allow_module_level=True)\n"
    )
    source = (
        "import pytest\n"
        "def test_a(): pytest.skip('of a call')\n"
        "@pytest.mark.skip(reason='of a mark')\n"
        "def test_b(): pass\n"
        "@pytest.fixture\n"
        "def given(): pytest.skip('of a fixture')\n"
        "def test_c(given): pass\n"
        "def test_d(): pass\n"
    )
    result = run_suite(tmp_path, source)
    assert result.returncode == pytest.ExitCode.TESTS_FAILED, result.stdout
    for reason in ("of a module", "of a call", "of a mark", "of a fixture"):
        assert f"UNDECLARED SKIP: {reason} " in result.stdout


def test_every_declared_reason_is_in_use() -> None:
    """The declaration does not outlive the skip: each reason stands in a test."""
    lines = (TESTS / "declared_skips.txt").read_text().splitlines()
    sources = [path.read_text() for path in TESTS.rglob("*.py") if path != Path(__file__)]
    unused = [
        line
        for line in lines
        if line and line[0] != "#" and not any(f'"{line}"' in source for source in sources)
    ]
    assert unused == []
