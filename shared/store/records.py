"""JSON records: one pydantic model under one key, written once.

A record that is not what its model says is damage, not a bug of the reader: ArtifactCorruptError names its key.
"""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from shared.store import layout
from shared.store.failures import corrupt
from shared.store.port import ObjectStore

RecordT = TypeVar("RecordT", bound=BaseModel)


def create_record(objects: ObjectStore, key: str, record: BaseModel) -> None:
    """Write `record` if `key` is free. Raises KeyExistsError."""
    objects.create(key, record.model_dump_json().encode())


def read_record(objects: ObjectStore, key: str, kind: type[RecordT]) -> RecordT:
    """Read and check a record. Raises KeyMissingError, ArtifactCorruptError."""
    return parse_record(key, objects.read(key), kind)


def parse_record(key: str, data: bytes, kind: type[RecordT]) -> RecordT:
    """Check the bytes of the record at `key`. Raises ArtifactCorruptError, which quotes none of them."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "the record"
        raise corrupt(key, expected=f"a {kind.__name__}", found=f"{first['type']} at {where}") from None


def last_number(objects: ObjectStore, folder: str) -> int:
    """Return the highest number of an append-only folder of records, 0 if it has none."""
    return max((layout.sequence_of(key) for key in objects.list_keys(folder)), default=0)
