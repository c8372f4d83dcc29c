"""Whether a store keeps the promise that everything rests on: what exists is not created again.

Run once by the service that writes. The same key each time, so that nothing has to be deleted and a store that was found good leaves one small object.
"""

from shared.errors import FieldInvalidError
from shared.store.port import KeyExistsError, ObjectStore

_KEY = "probe.json"


def check_creates_once(objects: ObjectStore) -> None:
    """Raise FieldInvalidError for a store that overwrites where it should refuse, StoreUnavailableError if it cannot be written."""
    for _ in range(2):  # the first may find the key free
        try:
            objects.create(_KEY, b"{}")
        except KeyExistsError:
            return
    raise FieldInvalidError(
        "store: it overwrites objects that are only to be created (it ignores `If-None-Match: *`), so versions and aliases would"
        " not be safe in it; use another object store, or a folder",
        field="store",
        value="",
    )
