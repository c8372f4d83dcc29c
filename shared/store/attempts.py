"""Which attempt at a version publishes it: at most one, even where a trainer that was thought dead comes back.

Each attempt has one record, created once, by whoever comes first: the trainer, as it publishes, or whoever starts the next attempt, as it
gives this one up. The trainer's record names the manifest, which lies in the store already, so that whoever finds a publication that was cut
short between record and manifest can finish it.

Needs nothing of the store but *create if absent*. Blocking; safe from any thread.
"""

import hashlib
from contextlib import suppress
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import VersionConflictError
from shared.names import VersionName
from shared.store import layout
from shared.store.failures import corrupt
from shared.store.port import KeyExistsError, ObjectStore
from shared.store.records import create_record, read_record


class AttemptEnd(BaseModel):
    """How an attempt ended, as far as the version is concerned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attempt: Annotated[int, Field(ge=1)]
    manifest_digest: str | None  # SHA-256 of what it publishes; None: it was given up, and never will


class Attempts:
    """The attempts at all versions of a store."""

    def __init__(self, objects: ObjectStore) -> None:
        """Keep the records in `objects`."""
        self._objects = objects

    def publish(self, version: VersionName, attempt: int, manifest: bytes) -> bytes:
        """Let an attempt publish `manifest`, and return what it has published: where it did so before, that stays.

        Raises VersionConflictError if it was given up.
        """
        digest = hashlib.sha256(manifest).hexdigest()
        with suppress(KeyExistsError):  # the same bytes, by their name
            self._objects.create(layout.blob(digest), manifest)
        end = self._end(version, AttemptEnd(attempt=attempt, manifest_digest=digest))
        if end.manifest_digest is None:
            raise VersionConflictError(
                f"attempt {attempt} at {version} was given up for a later one and publishes nothing",
                model_version=str(version),
                attempt=attempt,
            )
        return manifest if end.manifest_digest == digest else self._manifest(end.manifest_digest)

    def give_up(self, version: VersionName, *, before: int) -> bytes | None:
        """Give up the attempts that come before attempt `before`; return the manifest of one that has published, None if none has."""
        for attempt in range(1, before):
            end = self._end(version, AttemptEnd(attempt=attempt, manifest_digest=None))
            if end.manifest_digest is not None:
                return self._manifest(end.manifest_digest)
        return None

    def _end(self, version: VersionName, wanted: AttemptEnd) -> AttemptEnd:
        """Record an end unless there is one, and return the one that stands."""
        key = layout.numbered(layout.attempts(version), wanted.attempt)
        try:
            create_record(self._objects, key, wanted)
        except KeyExistsError:
            return read_record(self._objects, key, AttemptEnd)
        return wanted

    def _manifest(self, digest: str) -> bytes:
        key = layout.blob(digest)
        data = self._objects.read(key)
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            raise corrupt(key, expected=digest, found=found)
        return data
