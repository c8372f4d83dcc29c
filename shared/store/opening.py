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


def open_store(url: str, *, make: bool = True) -> ObjectStore:
    """Open a folder, given as a plain path or as `file:///path`, or a bucket, `s3://bucket/prefix`, `gs://...`, `az://...`.

    A folder is made if absent, unless `make` is false: for whoever only reads. A bucket is not. Raises FieldInvalidError for any other
    kind of URL and for an absent folder that is not to be made, StoreUnavailableError if the folder cannot be made or the environment
    lacks what the bucket needs.
    """
    return _adapter(url, make=make)()


def _adapter(url: str, *, make: bool = True) -> Callable[[], ObjectStore]:
    if not url:
        raise FieldInvalidError("store: no folder and no bucket is named", field="store", value="")
    if "://" not in url:
        return partial(_open_folder, Path(url), make=make)
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
    return partial(_open_folder, Path(unquote(parts.path)), make=make)


def _open_folder(path: Path, *, make: bool) -> ObjectStore:
    if not make and not path.is_dir():
        raise FieldInvalidError(
            f"store: no store is there: {str(path)!r} is no folder; name that of the training service (of `tagsmith up`:"
            " tagsmith-data/store)",
            field="store",
            value=str(path),
        )
    return FolderStore(path)
