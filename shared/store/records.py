"""JSON records: one pydantic model under one key, written once and sealed.

The seal is a last field `sha256`: the digest of the record's bytes without that field. A record whose seal does not fit, or that is
not what its model says, is damage, not a bug of the reader: ArtifactCorruptError names its key. Whoever can write to the store
can write a new seal as well: it is a guard against damage, not against a forger.
"""

import hashlib
import re
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from shared.store import layout
from shared.store.failures import corrupt
from shared.store.port import KeyExistsError, ObjectStore

RecordT = TypeVar("RecordT", bound=BaseModel)

_SEALED: Final = re.compile(rb'(\{.+),"sha256":"([0-9a-f]{64})"\}', re.DOTALL)


def seal(record: bytes) -> bytes:
    """Add to a JSON object, which is not empty, its own digest."""
    digest = hashlib.sha256(record).hexdigest().encode()
    return record.removesuffix(b"}") + b',"sha256":"' + digest + b'"}'


def unseal(key: str, data: bytes) -> bytes:
    """Return what was sealed, byte by byte. Raises ArtifactCorruptError."""
    match = _SEALED.fullmatch(data)
    if match is None:
        raise corrupt(key, expected="a sealed record", found=f"{len(data)} bytes without a seal")
    record = match[1] + b"}"
    found = hashlib.sha256(record).hexdigest()
    if found != match[2].decode():
        raise corrupt(key, expected=match[2].decode(), found=found)
    return record


def create_record(objects: ObjectStore, key: str, record: BaseModel) -> None:
    """Write `record` if `key` is free, or holds it already. Raises KeyExistsError."""
    create_sealed(objects, key, record.model_dump_json().encode())


def create_sealed(objects: ObjectStore, key: str, record: bytes) -> None:
    """Seal a JSON object and write it if `key` is free, or holds it already. Raises KeyExistsError.

    What is there already is our own write whose answer was lost: over a network a request may be sent twice.
    """
    sealed = seal(record)
    try:
        objects.create(key, sealed)
    except KeyExistsError:
        if objects.read(key) != sealed:
            raise


def read_record(objects: ObjectStore, key: str, kind: type[RecordT]) -> RecordT:
    """Read and check a record. Raises KeyMissingError, ArtifactCorruptError."""
    return parse_record(key, unseal(key, objects.read(key)), kind)


def parse_record(key: str, record: bytes, kind: type[RecordT]) -> RecordT:
    """Check an unsealed record of `key`. Raises ArtifactCorruptError, which quotes none of it."""
    try:
        return kind.model_validate_json(record)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the record"
        raise corrupt(key, expected=f"a {kind.__name__}", found=f"{first['type']} at {where}") from None


def last_number(objects: ObjectStore, folder: str) -> int:
    """Return the highest number of an append-only folder of records, 0 if it has none."""
    return max((layout.sequence_of(key) for key in objects.list_keys(folder)), default=0)
