"""The hold on the state folder."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from services.train.jobs import state_folder
from services.train.jobs.state_folder import StateFolder, StateFolderError, network_filesystem


def test_a_folder_belongs_to_one_process(tmp_path: Path) -> None:
    """A second hold is refused with a clear word; after the first is let go, it is given."""
    first = StateFolder(tmp_path / "state")
    with pytest.raises(StateFolderError, match="another training service holds"):
        StateFolder(tmp_path / "state")
    first.close()
    StateFolder(tmp_path / "state").close()


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    """The hold ends with its process, also by SIGKILL, and a child of the holder does not keep it."""
    code = (
        "import subprocess, sys, pathlib, os, signal; from services.train.jobs.state_folder import StateFolder;"
        "hold = StateFolder(pathlib.Path(sys.argv[1])); child = subprocess.Popen(['sleep', '30'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL);"
        "print(child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    try:
        StateFolder(tmp_path).close()
    finally:
        subprocess.run(["kill", ended.stdout.strip()], check=True)


def test_a_local_folder_is_local(tmp_path: Path) -> None:
    """A folder on this machine's disk is no network filesystem."""
    assert network_filesystem(tmp_path) is None


@pytest.mark.parametrize(("number", "name"), [(0x6969, "NFS"), (0xFF534D42, "CIFS"), (0x01021997, "9P")])
def test_a_network_filesystem_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, name: str
) -> None:
    """Where statfs tells a network filesystem, the start is refused and the filesystem named."""

    class FakeLibc:
        def __init__(self, *_: object, **__: object) -> None: ...

        def statfs(self, path: bytes, buffer: ctypes.Array[ctypes.c_char]) -> int:
            ctypes.c_long.from_buffer(buffer).value = number
            return 0

    monkeypatch.setattr(state_folder.ctypes, "CDLL", FakeLibc)
    with pytest.raises(StateFolderError, match=f"is on {name}"):
        StateFolder(tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in the folder's place is told as such."""
    (tmp_path / "file").touch()
    with pytest.raises(StateFolderError, match="cannot be used"):
        StateFolder(tmp_path / "file" / "state")
