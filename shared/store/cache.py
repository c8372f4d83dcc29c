"""Local copies of blobs, for code that needs a file path.

A path that `fetch` returns holds the bytes of its digest: they are hashed at every fetch, so a damaged copy is thrown away
and fetched anew. One fetcher at a time works on a digest, in all threads and processes that share the folder, by a lock on a
file beside the copy; the kernel drops the lock of a process that dies. Different digests are fetched side by side. Nothing is
deleted but by `keep_only`; a copy that was handed out may go then, so it is called when all of them have been read.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from shared.store import layout
from shared.store.failures import corrupt, store_errors
from shared.store.manifest import StoredFile
from shared.store.port import KeyMissingError, ObjectStore

_DIGEST: Final = re.compile("[0-9a-f]{64}")


class FileCache:
    """A folder of verified copies, each named by its digest."""

    def __init__(self, objects: ObjectStore, folder: Path) -> None:
        """Fill `folder`, which is made if absent, from `objects`."""
        self._objects = objects
        self._folder = folder.absolute()
        with store_errors("open the cache"):
            self._folder.mkdir(parents=True, exist_ok=True)

    def fetch(self, file: StoredFile) -> Path:
        """Return the path of a verified local copy of `file`, fetching it if need be.

        Raises ArtifactCorruptError if the blob is missing or is not what its digest says, StoreUnavailableError if it cannot be
        read, or the copy not be written.
        """
        copy = self._folder / file.digest
        with store_errors("cache"), self._locked(file.digest):
            if not copy.exists() or _digest(copy) != file.digest:
                self._download(file, copy)
        return copy

    def keep_only(self, digests: Collection[str]) -> None:
        """Delete every other copy, and what is left of its fetchers. Raises StoreUnavailableError."""
        with store_errors("tidy the cache"):
            here = {path.stem for path in self._folder.iterdir() if _DIGEST.fullmatch(path.stem)}
            for digest in here.difference(digests):
                with self._locked(digest) as lock:
                    for path in (self._folder / digest, self._partial(digest), lock):
                        path.unlink(missing_ok=True)

    def _partial(self, digest: str) -> Path:
        return self._folder / f"{digest}.partial"

    def _download(self, file: StoredFile, copy: Path) -> None:
        key = layout.blob(file.digest)
        partial = self._partial(file.digest)
        partial.unlink(missing_ok=True)  # of a fetcher that died; the lock is ours
        try:
            self._objects.download(key, partial)
            found = _digest(partial)
            if found != file.digest:
                raise corrupt(key, expected=file.digest, found=found)
            partial.replace(copy)
        except KeyMissingError:
            raise corrupt(key, expected=file.digest, found="nothing") from None
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, digest: str) -> Iterator[Path]:
        path = self._folder / f"{digest}.lock"
        while True:
            self._folder.mkdir(parents=True, exist_ok=True)  # temporary folders are tidied away while we run
            with path.open("wb") as lock:  # closing it lets go
                fcntl.flock(lock, fcntl.LOCK_EX)
                if _is_at(lock, path):  # else its last holder has deleted it, and it keeps nobody out
                    yield path
                    return


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
