"""A store in a bucket: S3 and what speaks its protocol, Google Cloud Storage, Azure; by one library.

Credentials, endpoint and region come from the environment, by the names that each cloud's own tools use (`AWS_ACCESS_KEY_ID`,
`AWS_ENDPOINT_URL`, ...). `create` rests on the bucket's conditional writes, which some look-alikes of S3 silently ignore:
`shared.store.probe` finds out. Uploads are in parts and downloads by ranges, so memory is bounded by these and not by the object.
An upload that its process did not live to end leaves parts that no key shows: give the bucket a rule that removes them.

No state is kept between calls but the library's pool of connections; any thread may call, and none holds the GIL while it waits.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from shared.errors import StoreUnavailableError
from shared.store.failures import store_errors
from shared.store.layout import is_segment, split_key
from shared.store.port import KeyExistsError, KeyMissingError

if TYPE_CHECKING:
    from obstore import ReadableFile
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import ObjectStore as AnyStore  # there for type checkers only

SCHEMES: Final = ("s3", "gs", "az")

_PART_BYTES: Final = 8 << 20  # at most 10,000 parts: 80 GB an object
_PARTS_AT_ONCE: Final = 4
_RANGE_BYTES: Final = 32 << 20  # of a download, one at a time; some servers read the whole object for each
_CLIENT: Final["ClientConfig"] = {
    "connect_timeout": timedelta(seconds=5),
    # Of a request: one part at most, or the joining of all, during which nothing is heard.
    "timeout": timedelta(minutes=2),
    "allow_http": True,  # only an endpoint that the operator names so uses it
}


class BucketStore:
    """Objects below the prefix that a URL names, such as `s3://bucket/prefix`."""

    def __init__(self, url: str, *, retries: int = 4) -> None:
        """Nothing is asked of the bucket yet. Raises StoreUnavailableError if the environment lacks what the client needs."""
        self._bucket = _open(url, retries)

    def create(self, key: str, data: bytes) -> None:
        """See ObjectStore."""
        split_key(key)
        with _store_errors("create"):
            try:
                obstore.put(self._bucket, key, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                raise KeyExistsError(key) from None

    def put(self, key: str, source: Path) -> None:
        """See ObjectStore. Always uploads: to compare with what is there would cost as much."""
        split_key(key)
        with source.open("rb") as file, _store_errors("put"):
            obstore.put(self._bucket, key, file, chunk_size=_PART_BYTES, max_concurrency=_PARTS_AT_ONCE)

    def read(self, key: str) -> bytes:
        """See ObjectStore."""
        split_key(key)
        with _store_errors("read"), _missing(key):
            return bytes(obstore.get(self._bucket, key).bytes())

    def download(self, key: str, destination: Path) -> None:
        """See ObjectStore."""
        split_key(key)
        with _store_errors("download"):
            with _missing(key):
                stored = obstore.open_reader(self._bucket, key, buffer_size=_RANGE_BYTES)
            with store_errors("download"), destination.open("xb") as copy:
                _copy(stored, copy)

    def exists(self, key: str) -> bool:
        """See ObjectStore."""
        split_key(key)
        try:
            with _store_errors("read"), _missing(key):
                obstore.head(self._bucket, key)
        except KeyMissingError:
            return False
        return True

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        split_key(key)
        with _store_errors("delete"), suppress(FileNotFoundError):  # what some stores say of an absent object
            obstore.delete(self._bucket, key)

    def list_keys(self, prefix: str) -> Iterator[str]:
        """See ObjectStore."""
        split_key(prefix)
        with _store_errors("list"):
            for batch in obstore.list(self._bucket, prefix):
                for entry in batch:
                    if all(map(is_segment, entry["path"].split("/"))):
                        yield entry["path"]

    def list_folders(self, prefix: str) -> list[str]:
        """See ObjectStore."""
        split_key(prefix)
        with _store_errors("list"):
            folders = obstore.list_with_delimiter(self._bucket, prefix)["common_prefixes"]
        names = (folder.rpartition("/")[2] for folder in folders)
        return sorted(filter(is_segment, names))


def copy_object(url: str, destination: BinaryIO, *, most_bytes: int) -> int:
    """Copy the object that `url` names, which need not be of a store, and return its size; over `most_bytes`, copy nothing.

    Raises KeyMissingError, StoreUnavailableError.
    """
    scheme, _, rest = url.partition("://")
    bucket_name, _, key = rest.partition("/")
    bucket = _open(f"{scheme}://{bucket_name}", retries=4)
    with _store_errors("read"):
        with _missing(key):
            stored = obstore.open_reader(bucket, key, buffer_size=_RANGE_BYTES)
        if stored.size <= most_bytes:
            _copy(stored, destination)
        return stored.size


def _open(url: str, retries: int) -> "AnyStore":
    retrying: RetryConfig = {"max_retries": retries, "retry_timeout": timedelta(minutes=1)}
    with _store_errors("open"):
        return from_url(url, client_options=_CLIENT, retry_config=retrying)


def _copy(stored: "ReadableFile", destination: BinaryIO) -> None:
    with store_errors("write"):
        while part := stored.read(_RANGE_BYTES):
            destination.write(part)


@contextmanager
def _store_errors(operation: str) -> Iterator[None]:
    """Turn what the library raises into StoreUnavailableError; its own messages quote the bucket's answers, which stay in the log."""
    try:
        yield
    except (
        BaseError,
        OSError,
        ValueError,
    ) as error:  # OSError: nothing there, ValueError: an environment that it cannot use
        cause = type(error).__name__
        message = f"the store failed to {operation}: {cause}"
        raise StoreUnavailableError(message, operation=operation, os_error=cause) from error


@contextmanager
def _missing(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:  # what the library makes of its NotFoundError
        raise KeyMissingError(key) from None
