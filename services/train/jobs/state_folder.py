"""The folder of one service: its name, its job table unless that is in PostgreSQL, and the jobs' folders unless these are elsewhere.

It belongs to one process at a time.

Refuses network filesystems, on which SQLite's locks are known to fail, and a folder that another training service holds. The hold
ends with the process, however it ends.
"""

import ctypes
import fcntl
import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path
from typing import IO, Final

# f_type of statfs(2), from linux/magic.h and the filesystems' own headers.
_NETWORK_FILESYSTEMS: Final = {
    0x6969: "NFS",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x517B: "SMB",
    0x01021997: "9P",
    0x65735546: "FUSE",
    0x00C36400: "Ceph",
    0x5346414F: "AFS",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x013111A8: "GFS2",
}


class StateFolderError(Exception):
    """The state folder cannot be used. For operators at start, never for callers."""


class StateFolder:
    """An exclusive hold on a folder, from construction to `close`."""

    def __init__(self, path: Path) -> None:
        """Make the folder if it is absent, and take it. Raises StateFolderError."""
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            filesystem = network_filesystem(path)
            self._lock = (path / "lock").open("w")
        except OSError as error:
            raise StateFolderError(f"the state folder {path} cannot be used: {error.strerror}") from error
        if filesystem:
            self._lock.close()
            raise StateFolderError(
                f"the state folder {path} is on {filesystem}, where the job table would not be safe: "
                "point TAGSMITH_TRAIN_STATE_DIR to a local disk or a block volume"
            )
        _take(self._lock, path)

    @property
    def table_file(self) -> Path:
        """The file of the job table."""
        return self.path / "jobs.sqlite"

    @property
    def imports(self) -> Path:
        """The folder where uploads are spooled."""
        return self.path / "imports"

    @property
    def surveys(self) -> Path:
        """The folder of surveys under way."""
        return self.path / "surveys"

    @property
    def jobs(self) -> Path:
        """Where the jobs' folders are by default."""
        return self.path / "jobs"

    @property
    def owner(self) -> str:
        """The name by which the service holds jobs: made at its first start, the same at every later one. Raises StateFolderError."""
        file = self.path / "owner"
        try:
            if not file.exists():
                written = file.with_suffix(".part")
                written.write_text(f"{socket.gethostname()}-{secrets.token_hex(4)}", "utf-8")
                written.rename(file)
            return file.read_text("utf-8")
        except OSError as error:
            raise StateFolderError(
                f"the state folder {self.path} cannot be used: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Let go."""
        self._lock.close()


def check_writable(folder: Path) -> None:
    """Make a folder for jobs if it is absent, and try it. Raises StateFolderError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".try-"):
            pass
    except OSError as error:
        raise StateFolderError(f"the folder of jobs {folder} cannot be used: {error.strerror}") from error


def network_filesystem(path: Path) -> str | None:
    """Return the name of the network filesystem that `path` is on, None for a local one (and where it cannot be told)."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(512)  # more than any struct statfs; f_type is its first word
    if libc.statfs(os.fsencode(path), buffer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    filesystem_type = ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF
    return _NETWORK_FILESYSTEMS.get(filesystem_type)


def _take(lock: IO[str], path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise StateFolderError(
            f"another training service holds the state folder {path}: stop it, or set another TAGSMITH_TRAIN_STATE_DIR"
        ) from error
