"""A store in memory, for tests and experiments: the port's behaviour and nothing else.

Thread-safe: one lock around the dictionary, never held while a file is read or written.
"""

import threading
from collections.abc import Iterator
from pathlib import Path

from shared.store.failures import store_errors
from shared.store.layout import split_key
from shared.store.port import KeyExistsError, KeyMissingError


class MemoryStore:
    """Objects in a dictionary; gone with the process."""

    def __init__(self) -> None:
        """Start empty."""
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def create(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        split_key(key)
        with self._lock:
            if key in self._objects:
                raise KeyExistsError(key)
            self._objects[key] = bytes(data)

    def put(self, key: str, source: Path) -> None:
        """See ObjectStore."""
        split_key(key)
        data = source.read_bytes()
        with self._lock:
            self._objects[key] = data

    def read(self, key: str) -> bytes:
        """See ObjectStore."""
        split_key(key)
        try:
            return self._objects[key]
        except KeyError:
            raise KeyMissingError(key) from None

    def download(self, key: str, destination: Path) -> None:
        """See ObjectStore."""
        data = self.read(key)
        with store_errors("download"), destination.open("xb") as file:
            file.write(data)

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        split_key(key)
        return key in self._objects

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        split_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def list_keys(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        split_key(prefix)
        with self._lock:
            keys = [key for key in self._objects if key.startswith(f"{prefix}/")]
        return iter(keys)

    def list_folders(self, prefix: str) -> list[str]:
        """See ObjectStore."""
        below = (key.removeprefix(f"{prefix}/") for key in self.list_keys(prefix))
        return sorted({rest.partition("/")[0] for rest in below if "/" in rest})
