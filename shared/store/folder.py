"""A store in a local folder, safe against crashes of the process and of the machine.

An object is written aside, fsynced, then given its name in one step: a link, which fails where the name is taken, for
`create`; a rename for `put`. The folders on the way are fsynced before the call returns. What a crash leaves behind lies in
a folder whose name no key can have, or is an empty folder; neither is ever listed.

Keys are walked from the root one descriptor at a time without following links, so nothing placed in the folder leads reads
or writes out of it. No state is kept between calls: any number of threads and processes may share a folder. File systems
without hard links cannot hold a store.
"""

import errno
import io
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from shared.store.failures import corrupt, store_errors
from shared.store.layout import is_segment, split_key
from shared.store.port import KeyExistsError, KeyMissingError

_ASIDE: Final = "~writing"  # "~" is in no key
_ABANDONED_AFTER_S: Final = 24 * 3600  # nobody goes on writing a file that was last written to a day ago
_CHUNK_BYTES: Final = 1 << 20
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Non-blocking, because a pipe in an object's place would hang its reader.
_OBJECT: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOT_OURS: Final = (errno.ELOOP, errno.ENOTDIR)  # a link, or a file where a folder belongs


class FolderStore:
    """Objects as files below `root`, each at the path that its key spells."""

    def __init__(self, root: Path) -> None:
        """Make `root` if it is absent. A store that exists may be read-only as long as nobody writes."""
        self._root = root.absolute()
        with store_errors("open"):
            missing = [folder for folder in (self._root, *self._root.parents) if not folder.exists()]
            self._root.mkdir(parents=True, exist_ok=True)
            for folder in missing:
                _sync_path(folder.parent)

    def create(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        *folders, name = split_key(key)
        with (
            store_errors("create"),
            self._written_aside(io.BytesIO(data)) as (aside, written),
            self._folder(folders, make=True) as folder,
        ):
            try:
                os.link(written, name, src_dir_fd=aside, dst_dir_fd=folder)
            except FileExistsError:
                # Who hears that the key is taken may build on it, so it must outlive a crash.
                os.fsync(folder)
                raise KeyExistsError(key) from None
            os.fsync(folder)

    def put(self, key: str, source: Path) -> None:
        """See ObjectStore. An object with other bytes, so a damaged one, is replaced."""
        *folders, name = split_key(key)
        with source.open("rb") as file, store_errors("put"):
            if self._holds(key, file):
                with self._folder(folders) as folder:
                    os.fsync(folder)
                return
            file.seek(0)
            with self._written_aside(file) as (aside, written), self._folder(folders, make=True) as folder:
                os.replace(written, name, src_dir_fd=aside, dst_dir_fd=folder)
                os.fsync(folder)

    def read(self, key: str) -> bytes:
        """See ObjectStore."""
        with store_errors("read"), self._open(key) as file:
            return file.read()

    def download(self, key: str, destination: Path) -> None:
        """See ObjectStore."""
        with store_errors("download"), self._open(key) as file, destination.open("xb") as copy:
            shutil.copyfileobj(file, copy, _CHUNK_BYTES)

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        with store_errors("read"):
            try:
                self._open(key).close()
            except KeyMissingError:
                return False
            return True

    def delete(self, key: str) -> None:
        """See ObjectStore. Its folder stays, and is listed no more once it is empty."""
        *folders, name = split_key(key)
        with store_errors("delete"), suppress(FileNotFoundError), self._folder(folders) as folder:
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)

    def list_keys(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        objects, folders = self._list(split_key(prefix))
        yield from (f"{prefix}/{name}" for name in objects)
        for name in folders:
            yield from self.list_keys(f"{prefix}/{name}")

    def list_folders(self, prefix: str) -> list[str]:
        """See ObjectStore."""
        _, folders = self._list(split_key(prefix))
        return sorted(name for name in folders if any(True for _ in self.list_keys(f"{prefix}/{name}")))

    @contextmanager
    def _folder(self, segments: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """Lend a descriptor of a folder, made with all above it if `make`. Raises FileNotFoundError if absent."""
        with store_errors("open"):  # even an empty store has its root
            here = os.open(self._root, _FOLDER)
        try:
            for depth, name in enumerate(segments, start=1):
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=here)
                    os.fsync(here)  # also where it was there: its maker may not have come this far yet
                try:
                    below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=here)
                except OSError as error:
                    if error.errno in _NOT_OURS:
                        raise corrupt(
                            "/".join(segments[:depth]), expected="a folder", found="something else"
                        ) from error
                    raise
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)

    @contextmanager
    def _written_aside(self, source: BinaryIO) -> Iterator[tuple[int, str]]:
        """Lend a durable, nameless copy of `source` as (folder descriptor, file name); gone after the block."""
        with self._folder((_ASIDE,), make=True) as folder:
            _remove_abandoned(folder)
            name = secrets.token_hex(16)
            try:
                with open(
                    name, "xb", opener=lambda path, flags: os.open(path, flags, 0o666, dir_fd=folder)
                ) as file:
                    shutil.copyfileobj(source, file, _CHUNK_BYTES)
                    file.flush()
                    os.fsync(file.fileno())
                yield folder, name
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)

    def _open(self, key: str) -> BinaryIO:
        *folders, name = split_key(key)
        try:
            with self._folder(folders) as folder:
                return open(name, "rb", opener=lambda path, _: os.open(path, _OBJECT, dir_fd=folder))
        except (FileNotFoundError, IsADirectoryError):
            raise KeyMissingError(key) from None
        except OSError as error:
            if error.errno in _NOT_OURS:
                raise corrupt(key, expected="a file", found="a link") from error
            raise

    def _holds(self, key: str, source: BinaryIO) -> bool:
        """Tell whether `key` has the very bytes of `source`."""
        try:
            stored = self._open(key)
        except KeyMissingError:
            return False
        with stored:
            if os.fstat(stored.fileno()).st_size != os.fstat(source.fileno()).st_size:
                return False
            while chunk := source.read(_CHUNK_BYTES):
                if chunk != stored.read(_CHUNK_BYTES):
                    return False
            return True

    def _list(self, segments: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the names of the files and of the folders in a folder; of an absent one, none."""
        files: list[str] = []
        folders: list[str] = []
        with (
            store_errors("list"),
            suppress(FileNotFoundError),
            self._folder(segments) as here,
            os.scandir(here) as entries,
        ):
            for entry in entries:
                if not is_segment(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif entry.is_file(follow_symlinks=False):
                    files.append(entry.name)
        return files, folders


def _remove_abandoned(folder: int) -> None:
    """Remove what writers that crashed long ago left behind."""
    oldest = time.time() - _ABANDONED_AFTER_S  # file times are wall-clock times
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # its writer, or another sweeper, was faster
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    os.unlink(entry.name, dir_fd=folder)


def _sync_path(folder: Path) -> None:
    descriptor = os.open(folder, _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
