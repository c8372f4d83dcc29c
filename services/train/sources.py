"""What an import may read on the server itself: files below allow-listed folders, objects below allow-listed prefixes of buckets.

Invariant: nothing outside of them is opened, whatever links, `..` or races try; what is outside is refused alike whether it exists
or not. Blocks; any thread may call.
"""

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from shared.errors import FieldInvalidError, PathNotAllowedError
from shared.store.bucket import copy_object
from shared.store.port import KeyMissingError


class Sources:
    """The allow-lists."""

    def __init__(self, folders: Sequence[Path], prefixes: Sequence[str]) -> None:
        """Files below `folders` and objects below `prefixes`, such as `s3://bucket/data`, may be read."""
        self._folders = tuple(folder.resolve() for folder in folders)
        self._prefixes = tuple(prefix.rstrip("/") + "/" for prefix in prefixes)

    def open_file(self, server_path: str) -> BinaryIO:
        """Open a file; see `open_below`."""
        return open_below(self._folders, server_path)

    def copy_object(self, url: str, destination: BinaryIO, *, most_bytes: int) -> int:
        """Copy an object into `destination` and return its size; over `most_bytes`, copy nothing. Raises PathNotAllowedError, FieldInvalidError, StoreUnavailableError."""
        segments = url.partition("://")[2].split("/")
        if not url.startswith(self._prefixes) or not set(segments).isdisjoint({"", ".", ".."}):
            raise PathNotAllowedError(
                "header.server_path is not below a prefix that TAGSMITH_TRAIN_DATASET_BUCKETS allows.",
                field="header.server_path",
            )
        try:
            return copy_object(url, destination, most_bytes=most_bytes)
        except KeyMissingError:
            raise _unreadable("No such object") from None


def open_below(roots: Iterable[Path], server_path: str) -> BinaryIO:
    """Open a regular file that lies below one of `roots` (resolved) once every symlink and `..` is followed.

    It is opened folder by folder from the root, following nothing any more: a symlink that was put there since leads nowhere. What is outside answers PathNotAllowedError whether it exists or not. Raises FieldInvalidError for what is below and no file.
    """
    refused = PathNotAllowedError(
        "header.server_path is not below a folder that TAGSMITH_TRAIN_DATASET_ROOTS allows.",
        field="header.server_path",
    )
    try:
        path = Path(os.path.realpath(server_path))
    except ValueError as error:  # a NUL in it
        raise refused from error
    root = next((root for root in roots if path.is_relative_to(root)), None)
    if root is None or not Path(server_path).is_absolute():
        raise refused
    try:
        number = _open_within(root, path.relative_to(root).parts)
    except OSError as error:
        raise _unreadable(error.strerror or "cannot be opened") from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise _unreadable("not a regular file")
    return os.fdopen(number, "rb")


def _open_within(root: Path, parts: Sequence[str]) -> int:
    """Open the file at `parts` below `root` and return its descriptor. No part is a symlink. Raises OSError."""
    number = os.open(root, os.O_RDONLY | os.O_NOFOLLOW)
    for part in parts:
        folder = number
        try:
            # Without waiting for the writer of a pipe.
            number = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        finally:
            os.close(folder)
    return number


def _unreadable(cause: str) -> FieldInvalidError:
    return FieldInvalidError(
        f"header.server_path cannot be read: {cause}.", field="header.server_path", cause=cause
    )
