"""The file in which a search remembers, one JSON object a line: opened so that what a crash or a full disk left of a last line is gone.

Optuna appends to whatever it finds: the next entry would be glued to half a line, and both lost.
"""

import json
import os
from pathlib import Path

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

from shared.errors import ArtifactCorruptError


def open_journal(path: Path) -> JournalStorage:
    """Open the file, which is made if absent. What stands after its last line end was never finished, and is cut off.

    Raises ArtifactCorruptError for a finished line that is no JSON object.
    """
    if path.exists():
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            content = _cut(path)
        _check(path, content)
    return JournalStorage(JournalFileBackend(str(path)))


def _cut(path: Path) -> bytes:
    """Cut off what is no whole line, and return what stays. Under the lock: an earlier attempt that still runs may be writing it."""
    lock = JournalFileSymlinkLock(str(path))
    lock.acquire()
    try:
        content = path.read_bytes()
        finished = content[: content.rfind(b"\n") + 1]
        if len(finished) < len(content):
            os.truncate(path, len(finished))
    finally:
        lock.release()
    return finished


def _check(path: Path, content: bytes) -> None:
    for number, line in enumerate(content.splitlines(), start=1):
        if not _is_object(line):
            key = f"{path.parent.name}/{path.name}"  # of the job's folder: a full path would tell of the machine
            raise ArtifactCorruptError(
                f"What the search knew is damaged: line {number} of {key} is no JSON object. Delete that file and submit the job again: its"
                " search begins anew.",
                key=key,
                line=number,
                expected="a JSON object",
                found=f"{len(line)} bytes that are none",
            )


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
