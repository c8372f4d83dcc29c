"""Opens the store that a setting names: the one place that knows which adapters there are."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator

from shared.errors import FieldInvalidError
from shared.store.bucket import SCHEMES, BucketStore
from shared.store.folder import FolderStore
from shared.store.port import ObjectStore


def check_url(url: str) -> str:
    """Return `url` if `open_store` could open it, for settings that are read before anything is opened. Raises ValueError."""
    try:
        _adapter(url)
    except FieldInvalidError as error:
        raise ValueError(error.message) from error
    return url


StoreUrl = Annotated[str, AfterValidator(check_url)]


def open_store(url: str) -> ObjectStore:
    """Open a folder, given as a plain path or as `file:///path`, or a bucket, `s3://bucket/prefix`, `gs://...`, `az://...`.

    A folder is made if absent, a bucket is not. Raises FieldInvalidError for any other kind of URL, StoreUnavailableError if the
    folder cannot be made or the environment lacks what the bucket needs.
    """
    return _adapter(url)()


def _adapter(url: str) -> Callable[[], ObjectStore]:
    if not url:
        raise FieldInvalidError("store: no folder and no bucket is named", field="store", value="")
    if "://" not in url:
        return partial(FolderStore, Path(url))
    parts = urlsplit(url)
    if parts.scheme in SCHEMES and parts.netloc and "@" not in parts.netloc:
        return partial(BucketStore, url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        kind = f"{parts.scheme}://{parts.hostname or ''}"  # no more of it: a URL may carry a password
        raise FieldInvalidError(
            f"store: {kind!r} is not supported; give a folder, file:///path, or {'://, '.join(SCHEMES)}:// with a bucket and"
            " maybe a prefix; credentials go into the environment",
            field="store",
            value=kind,
        )
    return partial(FolderStore, Path(unquote(parts.path)))
