"""Models and their versions: reservations, files, manifests.

A number belongs to the job that reserved it, for all its attempts; `attempts` decides which of these publishes. A version exists from the moment
its manifest does, which is written last and once: of any number of publishers, in any process, one succeeds, and readers see the
whole version or none. Blocking; safe from any thread, because all state is in the store.
"""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from shared.errors import (
    AliasNotFoundError,
    ArtifactCorruptError,
    ModelNotFoundError,
    ModelNotLoadableError,
    QualityGatesFailedError,
    VersionConflictError,
    VersionNotFoundError,
    VersionRejectedError,
)
from shared.names import ModelReference, VersionName
from shared.store import layout
from shared.store.aliases import AliasLog, AliasRecord
from shared.store.attempts import Attempts
from shared.store.evaluation import figure
from shared.store.failures import corrupt
from shared.store.manifest import READABLE_SCHEMAS, Manifest, StoredFile
from shared.store.port import KeyExistsError, KeyMissingError, ObjectStore
from shared.store.records import create_record, create_sealed, parse_record, read_record, unseal


class Reservation(BaseModel):
    """Whose number it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str


class Aliases(NamedTuple):
    """All aliases of a model."""

    records: list[AliasRecord]  # by name
    damage: ArtifactCorruptError | None  # of the first alias that is not among them


class ModelStore:
    """What publishers, the registry and the inference service ask of a store."""

    def __init__(self, objects: ObjectStore) -> None:
        """Keep models in `objects`."""
        self._objects = objects
        self._aliases = AliasLog(objects)
        self._attempts = Attempts(objects)

    def reserve(self, model: str, job_id: str) -> VersionName:
        """Give `job_id` the model's next free number, for good: an unused one leaves a gap."""
        taken = (int(name) for name in self._objects.list_folders(layout.versions(model)) if name.isdecimal())
        version = VersionName(model, max(taken, default=0) + 1)
        while True:
            try:
                create_record(self._objects, layout.reservation(version), Reservation(job_id=job_id))
            except KeyExistsError:
                version = VersionName(model, version.number + 1)
            else:
                return version

    def put_file(self, path: Path) -> StoredFile:
        """Store a file under its SHA-256; storing the same bytes again is cheap, and mends a damaged blob."""
        with path.open("rb") as file:
            stored = StoredFile(
                digest=hashlib.file_digest(file, "sha256").hexdigest(), size_bytes=file.tell()
            )
        self._objects.put(layout.blob(stored.digest), path)
        return stored

    def publish(self, manifest: Manifest) -> None:
        """Make a version exist. Where its job has published already, that manifest stays and all is well.

        Raises VersionConflictError if the number is not reserved for the manifest's job, or if its attempt was given up for another one;
        ArtifactCorruptError if one of its files is not in the store.
        """
        version, job_id = manifest.version, manifest.lineage.job_id
        data = manifest.model_dump_json().encode()
        Manifest.model_validate_json(data)  # NaN becomes null: never publish what nobody can read
        self._check_reserved(version, job_id)
        self._check_files(manifest)
        self._write_manifest(version, job_id, self._attempts.publish(version, manifest.lineage.attempt, data))

    def give_up(self, version: VersionName, *, before: int, job_id: str) -> None:
        """Keep the attempts of a job that came before attempt `before` from publishing; what one of them has begun to publish is finished.

        Once this has returned, the version has the manifest of one of them, or none of them will ever write it.
        """
        published = self._attempts.give_up(version, before=before)
        if published is not None:
            self._write_manifest(version, job_id, published)

    def _write_manifest(self, version: VersionName, job_id: str, data: bytes) -> None:
        try:
            create_sealed(self._objects, layout.manifest(version), data)
        except KeyExistsError:
            holder = self.manifest(version).lineage.job_id
            if holder != job_id:
                raise _conflict(version, job_id, f"published by {holder}") from None

    def manifest(self, version: VersionName) -> Manifest:
        """Return the manifest of a version, published or rejected.

        Raises ModelNotFoundError, VersionNotFoundError, ArtifactCorruptError, and ModelNotLoadableError for a manifest written
        by a newer Tagsmith.
        """
        key = layout.manifest(version)
        try:
            data = self._objects.read(key)
        except KeyMissingError:
            self._check_known(version.model)
            raise VersionNotFoundError(
                f"{version} does not exist", model=version.model, version=version.number
            ) from None
        manifest = _parse(version, key, unseal(key, data))
        if manifest.version != version:
            raise corrupt(key, expected=str(version), found=str(manifest.version))
        return manifest

    def models(self) -> list[str]:
        """Return the names of all models, sorted; one whose first version is still in the making is among them."""
        return list(filter(layout.is_id, self._objects.list_folders(layout.MODELS)))

    def versions(self, model: str) -> list[int]:
        """Return the numbers of all versions, published and rejected, ascending. Raises ModelNotFoundError."""
        folder = layout.versions(model)
        keys = list(self._objects.list_keys(folder))
        if not keys:
            raise _no_model(model)
        numbers = (key.removeprefix(f"{folder}/").removesuffix("/manifest.json") for key in keys)
        return sorted(int(number) for number in numbers if number.isdecimal())

    def resolve(self, reference: ModelReference) -> VersionName:
        """Return the version that a reference means now; one named by its number is not looked up.

        Raises ModelNotFoundError, AliasNotFoundError.
        """
        if isinstance(reference, VersionName):
            return reference
        return VersionName(reference.model, self.alias(reference.model, reference.alias).version)

    def set_alias(
        self,
        model: str,
        alias: str,
        number: int,
        *,
        expected: int | None,
        actor: str,
        reason: str,
        overrides_gates: bool = False,
    ) -> AliasRecord:
        """Point an alias to version `number`; see AliasLog.move for `expected`.

        Raises VersionRejectedError for a version that its gate refused, QualityGatesFailedError for one that fails its owner's gates, unless
        these are overridden, ArtifactCorruptError for one whose files are not all there
        (what is in them is for their readers to check), ModelNotFoundError, VersionNotFoundError,
        AliasConflictError.
        """
        version = VersionName(model, number)
        manifest = self.manifest(version)
        if manifest.state == "rejected":
            raise VersionRejectedError(f"{version} was refused by its gate", model_version=str(version))
        if not overrides_gates:
            _check_quality(manifest)
        self._check_files(manifest)
        return self._aliases.move(model, alias, number, expected=expected, actor=actor, reason=reason)

    def alias(self, model: str, alias: str) -> AliasRecord:
        """Return where an alias points. Raises ModelNotFoundError, AliasNotFoundError."""
        try:
            return self._aliases.current(model, alias)
        except AliasNotFoundError:
            self._check_known(model)
            raise

    def aliases(self, model: str) -> Aliases:
        """Return where every alias of a model points, as far as that can be read. Raises ModelNotFoundError."""
        self._check_known(model)
        records: list[AliasRecord] = []
        damage: ArtifactCorruptError | None = None
        for alias in self._aliases.names(model):
            try:
                records.append(self._aliases.current(model, alias))
            except ArtifactCorruptError as error:
                damage = damage or error
        return Aliases(records, damage)

    def alias_moved_by(self, model: str, alias: str, actor: str) -> bool:
        """Tell whether `actor` ever moved an alias, as far as its history can be read."""
        return self._aliases.moved_by(model, alias, actor)

    def alias_history(self, model: str, alias: str) -> list[AliasRecord]:
        """Return every move of an alias, newest first. Raises ModelNotFoundError, AliasNotFoundError."""
        self._check_known(model)
        return self._aliases.history(model, alias)

    def _check_files(self, manifest: Manifest) -> None:
        for file in manifest.files:
            key = layout.blob(file.digest)
            if not self._objects.exists(key):
                raise corrupt(key, expected=file.digest, found="nothing")

    def _check_known(self, model: str) -> None:
        if not any(True for _ in self._objects.list_keys(layout.versions(model))):
            raise _no_model(model)

    def _check_reserved(self, version: VersionName, job_id: str) -> None:
        try:
            holder = read_record(self._objects, layout.reservation(version), Reservation).job_id
        except KeyMissingError:
            holder = "nobody"
        if holder != job_id:
            raise _conflict(version, job_id, f"reserved for {holder}")


def _check_quality(manifest: Manifest) -> None:
    failed = [check for check in manifest.quality_checks if not check.passed]
    if failed:
        names, first = ",".join(check.name for check in failed), failed[0]
        raise QualityGatesFailedError(
            f"{manifest.version} fails its quality gates ({names}): {first.name} {figure(first.measured, first.unit)}, at most"
            f" {figure(first.limit, first.unit)} asked: {first.detail}."
            " An override_reason promotes it nevertheless.",
            model_version=str(manifest.version),
            checks=names,
        )


def _parse(version: VersionName, key: str, record: bytes) -> Manifest:
    try:
        return parse_record(key, record, Manifest)
    except ArtifactCorruptError:
        schema = _schema_version(record)
        if schema in (0, *READABLE_SCHEMAS):
            raise
        cause = f"manifest schema {schema}"
        raise ModelNotLoadableError(
            f"{version} has {cause}, this server reads up to {max(READABLE_SCHEMAS)}: ask one of its own release, or train it again",
            model_version=str(version),
            cause=cause,
        ) from None


def _schema_version(record: bytes) -> int:
    """Return the schema version that a manifest claims, 0 if it claims none."""
    try:
        manifest = json.loads(record)
    except ValueError:
        return 0
    claimed = manifest.get("schema_version") if isinstance(manifest, dict) else None
    return claimed if isinstance(claimed, int) else 0


def _no_model(model: str) -> ModelNotFoundError:
    return ModelNotFoundError(f"there is no model {model}", model=model)


def _conflict(version: VersionName, job_id: str, why: str) -> VersionConflictError:
    return VersionConflictError(f"{version} is {why}, not {job_id}", model_version=str(version), job=job_id)
