"""What a store must be able to do: the port behind which folder, memory and object stores stand.

Keys are `/`-separated segments of `[A-Za-z0-9][A-Za-z0-9._-]*`; other keys are refused with NameMalformedError. No key is a
folder of another. Objects are immutable once created, until somebody deletes them; only objects named by their content are written with `put`, so that two
puts of one key carry the same bytes. All calls block and are safe from any thread: asyncio code runs them in threads.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol


class KeyExistsError(Exception):
    """`create` found the key taken. Nothing was written."""


class KeyMissingError(Exception):
    """No object has this key."""


class ObjectStore(Protocol):
    """A flat store of immutable objects.

    Raises StoreUnavailableError (shared.errors) for everything that is the store's own fault: disk full, permissions, network.
    After such an error the object is either whole under its key or absent. Raises ArtifactCorruptError where the store holds
    something that it never wrote, such as a link.
    """

    def create(self, key: str, data: bytes) -> None:
        """Write a small record if `key` is free: atomic, durable when it returns. Raises KeyExistsError."""

    def put(self, key: str, source: Path) -> None:
        """Write the file `source` under `key`, durable when it returns; replaces an object with other bytes."""

    def read(self, key: str) -> bytes:
        """Return a small object whole. Raises KeyMissingError."""

    def download(self, key: str, destination: Path) -> None:
        """Copy an object of any size to a new local file with bounded memory. Raises KeyMissingError.

        After any other error the file may hold a part and is the caller's to remove.
        """

    def exists(self, key: str) -> bool:
        """Tell whether `key` holds an object."""

    def delete(self, key: str) -> None:
        """Remove an object, if `key` holds one; durable when it returns. Only what is told that it may go: nothing else ever does."""

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Yield every key below the folder `prefix` (no trailing slash), in no order."""

    def list_folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below the folder `prefix`, sorted; of an absent folder, none."""
