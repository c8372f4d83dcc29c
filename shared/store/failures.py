"""How a store's own faults and damaged content are reported, in one place."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import ArtifactCorruptError, StoreUnavailableError


@contextmanager
def store_errors(operation: str) -> Iterator[None]:
    """Turn every OSError of the block into StoreUnavailableError; its message names no local path."""
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or errno.EIO, "EIO")
        message = f"the store failed to {operation}: {name}"
        raise StoreUnavailableError(message, operation=operation, os_error=name) from error


def corrupt(key: str, *, expected: str, found: str) -> ArtifactCorruptError:
    """Make the error for an object whose content is not what was promised; both sides are digests or a few words."""
    message = f"{key} is damaged: expected {expected}, found {found}"
    return ArtifactCorruptError(message, key=key, expected=expected, found=found)
