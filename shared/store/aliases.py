"""Aliases: movable pointers to versions, kept as an append-only history.

An alias is a folder of records numbered from 1 without a gap; the highest one says where it points. Moving it is creating
the next record, which only one of any number of racing movers, in any process, can do: moves are linear, and the history,
the audit trail and the way back are the records themselves.
"""

from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.errors import AliasConflictError, AliasNotFoundError, ArtifactCorruptError
from shared.store import layout
from shared.store.failures import corrupt
from shared.store.port import KeyExistsError, KeyMissingError, ObjectStore
from shared.store.records import create_record, last_number, read_record


class AliasRecord(BaseModel):
    """One move of an alias."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    alias: str
    sequence: Annotated[int, Field(ge=1)]
    version: Annotated[int, Field(ge=1)]  # where it points from now on
    previous: Annotated[int, Field(ge=0)]  # where it pointed before; 0: nowhere
    actor: str
    reason: str
    time: AwareDatetime


class AliasLog:
    """Reads and extends the histories of aliases. Knows nothing of versions: its caller checks that they exist."""

    def __init__(self, objects: ObjectStore) -> None:
        """Keep the aliases in `objects`."""
        self._objects = objects

    def names(self, model: str) -> list[str]:
        """Return the names of a model's aliases, sorted."""
        return list(filter(layout.is_id, self._objects.list_folders(layout.aliases(model))))

    def current(self, model: str, alias: str) -> AliasRecord:
        """Return the newest record. Raises AliasNotFoundError."""
        last = last_number(self._objects, layout.alias(model, alias))
        if last == 0:
            raise AliasNotFoundError(f"{model} has no alias {alias}", model=model, alias=alias)
        return self._record(model, alias, last)

    def history(self, model: str, alias: str) -> list[AliasRecord]:
        """Return every record, newest first. Raises AliasNotFoundError; ArtifactCorruptError if a link of it is missing."""
        newest = self.current(model, alias)
        records = [newest]
        for sequence in range(newest.sequence - 1, 0, -1):
            records.append(self._record(model, alias, sequence))
        for later, earlier in pairwise(records):
            if later.previous != earlier.version:
                key = layout.numbered(layout.alias(model, alias), later.sequence)
                raise corrupt(key, expected=f"previous {earlier.version}", found=f"previous {later.previous}")
        return records

    def moved_by(self, model: str, alias: str, actor: str) -> bool:
        """Tell whether `actor` ever moved the alias; records that cannot be read are passed over."""
        last = last_number(self._objects, layout.alias(model, alias))
        for sequence in range(last, 0, -1):
            with suppress(ArtifactCorruptError):
                if self._record(model, alias, sequence).actor == actor:
                    return True
        return False

    def move(
        self, model: str, alias: str, version: int, *, expected: int | None, actor: str, reason: str
    ) -> AliasRecord:
        """Point an alias to `version`; where it points there already, return the record that says so.

        `expected` is where the caller believes it points: 0 for nowhere, None for wherever. Raises AliasConflictError if it
        points elsewhere or another mover was faster.
        """
        folder = layout.alias(model, alias)
        last = last_number(self._objects, folder)
        newest = self._record(model, alias, last) if last else None
        current = newest.version if newest else 0
        if expected is not None and expected != current:
            raise _conflict(
                f"it points to {current or 'nothing'}, not to {expected or 'nothing'}", model, alias, current
            )
        if newest is not None and current == version:
            return newest
        record = AliasRecord(
            model=model,
            alias=alias,
            sequence=last + 1,
            version=version,
            previous=current,
            actor=actor,
            reason=reason,
            time=datetime.now(UTC),
        )
        try:
            create_record(self._objects, layout.numbered(folder, record.sequence), record)
        except KeyExistsError:
            winner = self.current(model, alias).version
            raise _conflict(f"another move won; it points to {winner}", model, alias, winner) from None
        return record

    def _record(self, model: str, alias: str, sequence: int) -> AliasRecord:
        key = layout.numbered(layout.alias(model, alias), sequence)
        try:
            record = read_record(self._objects, key, AliasRecord)
        except KeyMissingError:
            raise corrupt(key, expected="a record", found="nothing") from None
        if (record.model, record.alias, record.sequence) != (model, alias, sequence):
            raise corrupt(
                key, expected="the record of this key", found=f"record {record.sequence} of another alias"
            )
        return record


def _conflict(what: str, model: str, alias: str, current: int) -> AliasConflictError:
    message = f"{model}@{alias} was not moved: {what}"
    return AliasConflictError(message, model=model, alias=alias, current=current)
