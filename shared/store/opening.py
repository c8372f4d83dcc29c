"""Opens the store that a setting names: the one place that knows which adapters there are."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.errors import FieldInvalidError
from shared.store.bucket import SCHEMES, BucketStore
from shared.store.folder import FolderStore
from shared.store.port import ObjectStore


def open_store(url: str) -> ObjectStore:
    """Open a folder, given as a plain path or as `file:///path`, or a bucket, `s3://bucket/prefix`, `gs://...`, `az://...`.

    A folder is made if absent, a bucket is not. Raises FieldInvalidError for any other kind of URL, StoreUnavailableError if the
    folder cannot be made or the environment lacks what the bucket needs.
    """
    if not url:
        raise FieldInvalidError("store: no folder and no bucket is named", field="store", value="")
    if "://" not in url:
        return FolderStore(Path(url))
    parts = urlsplit(url)
    if parts.scheme in SCHEMES and parts.netloc and "@" not in parts.netloc:
        return BucketStore(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        kind = f"{parts.scheme}://{parts.hostname or ''}"  # no more of it: a URL may carry a password
        raise FieldInvalidError(
            f"store: {kind!r} is not supported; give a folder, file:///path, or {'://, '.join(SCHEMES)}:// with a bucket and"
            " maybe a prefix; credentials go into the environment",
            field="store",
            value=kind,
        )
    return FolderStore(Path(unquote(parts.path)))
