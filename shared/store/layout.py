"""Where everything lies in a store: every key is built here and nowhere else.

    blobs/sha256/ab/<digest>                         files, named by their content
    models/<name>/versions/<0000007>/reserved.json   whose version the number is
    models/<name>/versions/<0000007>/attempts/<00000002>.json  how a try at the version ended: it published, or may not any more
    models/<name>/versions/<0000007>/manifest.json   written last: a version exists when its manifest does
    models/<name>/aliases/<alias>/<00000012>.json    the moves of an alias; the highest number wins
    datasets/<name>/<digest>/<split>.jsonl           rows
    datasets/<name>/<digest>/snapshot.json           written after the rows: a snapshot exists when this does
    datasets/<name>/<digest>/imports/<00000002>.json when the same rows were imported again; the highest number wins
    datasets/<name>/latest/<00000003>.json           which snapshot the bare name means; the highest number wins

Pure. Names are checked on the way in, so that no caller's text becomes a path.
"""

import re
from typing import Final

from shared.errors import FieldInvalidError, NameMalformedError
from shared.names import VersionName, check_id

MODELS: Final = "models"
DATASETS: Final = "datasets"

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")  # none of `..`, `.nfs0001`, `.DS_Store`
_NUMBERED = re.compile(r"([0-9]{8,})\.json\Z")
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_MOST_VERSIONS: Final = 9_999_999


def is_segment(name: str) -> bool:
    """Tell whether `name` may stand between the slashes of a key."""
    return _SEGMENT.match(name) is not None


def split_key(key: str) -> list[str]:
    """Return the segments of `key`; NameMalformedError for a key that could lead out of the store."""
    segments = key.split("/")
    if not all(map(is_segment, segments)):
        raise NameMalformedError(f"key: {key[:120]!r} is not a store key", field="key", value=key[:120])
    return segments


def is_id(name: str) -> bool:
    """Tell whether a folder can be that of a model, an alias or a dataset; `banking.bak` cannot."""
    try:
        check_id(name, field="name")
    except NameMalformedError:
        return False
    return True


def blob(digest: str) -> str:
    """Key of the file whose SHA-256 is `digest`."""
    return f"blobs/sha256/{_check_digest(digest)[:2]}/{digest}"


def versions(model: str) -> str:
    """Folder of all versions of a model."""
    return f"{MODELS}/{check_id(model, field='model')}/versions"


def reservation(version: VersionName) -> str:
    """Key of the record that gives a version's number to one job."""
    return f"{_version(version)}/reserved.json"


def attempts(version: VersionName) -> str:
    """Folder of the records that say how each try at a version ended."""
    return f"{_version(version)}/attempts"


def manifest(version: VersionName) -> str:
    """Key of a version's manifest."""
    return f"{_version(version)}/manifest.json"


def aliases(model: str) -> str:
    """Folder of all aliases of a model."""
    return f"{MODELS}/{check_id(model, field='model')}/aliases"


def alias(model: str, name: str) -> str:
    """Folder of the moves of one alias."""
    return f"{aliases(model)}/{check_id(name, field='alias')}"


def dataset(name: str) -> str:
    """Folder of all that a dataset has."""
    return _dataset(name)


def is_digest(name: str) -> bool:
    """Tell whether a folder can be a snapshot's."""
    return _DIGEST.match(name) is not None


def snapshot(dataset: str, digest: str) -> str:
    """Key of a snapshot's summary."""
    return f"{_dataset(dataset)}/{_check_digest(digest)}/snapshot.json"


def split_rows(dataset: str, digest: str, split: str) -> str:
    """Key of the rows of one split of a snapshot."""
    return f"{_dataset(dataset)}/{_check_digest(digest)}/{split}.jsonl"


def imports(dataset: str, digest: str) -> str:
    """Folder of the records that say when a snapshot's rows were imported again."""
    return f"{_dataset(dataset)}/{_check_digest(digest)}/imports"


def latest(dataset: str) -> str:
    """Folder of the records that say which snapshot a bare dataset name means."""
    return f"{_dataset(dataset)}/latest"


def numbered(folder: str, sequence: int) -> str:
    """Key of record `sequence` (from 1) of an append-only folder."""
    return f"{folder}/{sequence:08d}.json"


def sequence_of(key: str) -> int:
    """Return the number of a record of an append-only folder, 0 for anything else that lies there."""
    match = _NUMBERED.match(key.rpartition("/")[2])
    return int(match[1]) if match else 0


def _version(version: VersionName) -> str:
    if not 1 <= version.number <= _MOST_VERSIONS:
        raise FieldInvalidError(
            f"version: {version.number} is not 1 to {_MOST_VERSIONS}", field="version", value=version.number
        )
    return f"{versions(version.model)}/{version.number:07d}"


def _dataset(dataset: str) -> str:
    return f"{DATASETS}/{check_id(dataset, field='dataset')}"


def _check_digest(digest: str) -> str:
    if not _DIGEST.match(digest):
        raise NameMalformedError(
            f"digest: {digest[:80]!r} is not 64 hexadecimal digits", field="digest", value=digest[:80]
        )
    return digest
