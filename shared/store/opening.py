"""Opens the store that a setting names: the one place that knows which adapters there are."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.errors import FieldInvalidError
from shared.store.folder import FolderStore
from shared.store.port import ObjectStore


def open_store(url: str) -> ObjectStore:
    """Open a folder, given as a plain path or as `file:///path`; it is made if absent.

    Raises FieldInvalidError for any other kind of URL, StoreUnavailableError if the folder cannot be made.
    """
    if not url:
        raise FieldInvalidError("store: no folder is named", field="store", value="")
    if "://" not in url:
        return FolderStore(Path(url))
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        kind = f"{parts.scheme}://{parts.hostname or ''}"  # no more of it: a URL may carry a password
        raise FieldInvalidError(
            f"store: {kind!r} is not supported; give a folder or file:///path", field="store", value=kind
        )
    return FolderStore(Path(unquote(parts.path)))
