"""Reservations and versions: G3 (at most one publish) and G4 (no partial version) on every adapter."""

import hashlib
import json
import math
import threading
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.errors import (
    ArtifactCorruptError,
    FieldInvalidError,
    ModelNotFoundError,
    ModelNotLoadableError,
    NameMalformedError,
    TagsmithError,
    VersionConflictError,
    VersionNotFoundError,
)
from shared.names import VersionName
from shared.store import layout
from shared.store.cache import FileCache
from shared.store.datasets import DatasetStore
from shared.store.evaluation import SplitEvaluation
from shared.store.manifest import Manifest, StoredFile
from shared.store.models import ModelStore
from shared.store.port import ObjectStore
from shared.store.records import seal, unseal
from tests.contract.store.publishing import manifest_of, publish_small, put_files
from tests.contract.store.racing import race

V1 = VersionName("banking", 1)


def test_g3_two_publishers_of_one_job(store: ModelStore, tmp_path: Path) -> None:
    """G3: two live workers of one job publish at once: both are content, one manifest stands, and it is one of theirs."""
    version = store.reserve("banking", "job-a")
    manifests = [manifest_of(version, "job-a", put_files(store, tmp_path, seed)) for seed in "xy"]
    assert race(2, lambda number: store.publish(manifests[number])) == [None, None]
    assert store.manifest(version) in manifests
    assert store.versions("banking") == [1]


def test_g3_sixteen_publishers_of_one_job(store: ModelStore, tmp_path: Path) -> None:
    """G3: of sixteen at once, each with files of its own, one manifest stands, whole, and all sixteen read it."""
    version = store.reserve("banking", "job-a")
    manifests = [
        manifest_of(version, "job-a", put_files(store, tmp_path, seed)) for seed in "abcdefghijklmnop"
    ]

    def publish(number: int) -> Manifest:
        store.publish(manifests[number])
        return store.manifest(version)

    outcomes = race(16, publish)
    assert all(isinstance(each, Manifest) for each in outcomes)
    (winner,) = {each.model_dump_json() for each in outcomes if isinstance(each, Manifest)}
    assert winner in {each.model_dump_json() for each in manifests}


def test_g3_a_second_publish_of_a_job_changes_nothing(store: ModelStore, tmp_path: Path) -> None:
    """G3: a worker that comes later, with other files, adopts the manifest that is there."""
    version = store.reserve("banking", "job-a")
    first = manifest_of(version, "job-a", put_files(store, tmp_path, "first"))
    store.publish(first)
    store.publish(manifest_of(version, "job-a", put_files(store, tmp_path, "second")))
    assert store.manifest(version) == first


def test_g3_two_jobs_race_for_one_version(store: ModelStore, tmp_path: Path) -> None:
    """G3: of two jobs that publish one number, only the one that reserved it does; the other hears of the conflict."""
    version = store.reserve("banking", "job-a")
    files = put_files(store, tmp_path, "x")
    outcomes = race(2, lambda number: store.publish(manifest_of(version, ("job-a", "job-b")[number], files)))
    assert outcomes[0] is None
    assert isinstance(outcomes[1], VersionConflictError)
    assert outcomes[1].metadata == {"model_version": "banking@1", "job": "job-b"}
    assert store.manifest(version).lineage.job_id == "job-a"


def test_a_manifest_of_another_job_is_never_adopted(
    objects: ObjectStore, store: ModelStore, tmp_path: Path
) -> None:
    """Where a version holds another job's manifest, whoever wrote it there, the number's own job hears of the conflict."""
    version = store.reserve("banking", "job-a")
    files = put_files(store, tmp_path, "x")
    objects.create(
        layout.manifest(version), seal(manifest_of(version, "job-b", files).model_dump_json().encode())
    )
    with pytest.raises(VersionConflictError):
        store.publish(manifest_of(version, "job-a", files))


def test_a_number_that_nobody_reserved(store: ModelStore, tmp_path: Path) -> None:
    """A manifest for a number without a reservation is refused."""
    with pytest.raises(VersionConflictError):
        store.publish(manifest_of(V1, "job-a", put_files(store, tmp_path, "x")))


def test_g4_readers_see_whole_versions_only(objects: ObjectStore, store: ModelStore, tmp_path: Path) -> None:
    """G4: while versions are published, every reader finds each listed version's manifest and files whole, at all times."""
    done = threading.Event()
    seen: list[set[int]] = [set() for _ in range(3)]
    store.reserve("banking", "job-0")  # so that the model is known from the start

    def read(reader: int) -> None:
        cache = FileCache(objects, tmp_path / f"cache-{reader}")
        last_round = False
        while not last_round:
            last_round = done.is_set()
            for number in set(store.versions("banking")) - seen[reader]:
                for file in store.manifest(VersionName("banking", number)).files:
                    assert hashlib.sha256(cache.fetch(file).read_bytes()).hexdigest() == file.digest
                seen[reader].add(number)

    def act(number: int) -> None:
        if number < 3:
            read(number)
            return
        try:
            for _ in range(8):
                publish_small(store, tmp_path / "scratch")
        finally:
            done.set()

    assert race(4, act) == [None] * 4
    assert seen == [set(range(2, 10))] * 3


def test_g4_no_version_before_its_manifest(store: ModelStore, tmp_path: Path) -> None:
    """G4: reserved, with all its files stored, a version does not exist yet; its model is known."""
    version = store.reserve("banking", "job-a")
    put_files(store, tmp_path, "x")
    assert store.models() == ["banking"]
    assert store.versions("banking") == []
    with pytest.raises(VersionNotFoundError):
        store.manifest(version)


def test_g4_no_manifest_without_its_files(store: ModelStore, tmp_path: Path) -> None:
    """G4: a manifest whose files are not all stored is refused, and names the missing one."""
    version = store.reserve("banking", "job-a")
    tokenizer, _ = put_files(store, tmp_path, "x")
    absent = StoredFile(digest="f" * 64, size_bytes=1)
    with pytest.raises(ArtifactCorruptError) as caught:
        store.publish(manifest_of(version, "job-a", (tokenizer, absent)))
    assert caught.value.metadata["key"] == layout.blob(absent.digest)
    assert store.versions("banking") == []


def test_what_nobody_could_read_is_not_published(store: ModelStore, tmp_path: Path) -> None:
    """A NaN metric, which JSON cannot carry, stops the publication instead of breaking every reader."""
    version = store.reserve("banking", "job-a")
    bad = SplitEvaluation(row_count=1, metrics={"accuracy": math.nan}, per_label={})
    manifest = manifest_of(version, "job-a", put_files(store, tmp_path, "x")).model_copy(
        update={"evaluations": {"fp32": {"test": bad}}}
    )
    with pytest.raises(ValidationError):
        store.publish(manifest)
    assert store.versions("banking") == []


def test_reservations_never_give_a_number_twice(store: ModelStore) -> None:
    """16 jobs reserve at once: numbers 1 to 16, each once; the next is 17 although none was published."""
    outcomes = race(16, lambda number: store.reserve("banking", f"job-{number}"))
    assert sorted(map(str, outcomes)) == sorted(f"banking@{number}" for number in range(1, 17))
    assert store.reserve("banking", "job-x") == VersionName("banking", 17)
    assert store.reserve("other", "job-y") == VersionName("other", 1)


def test_published_and_rejected_versions_are_listed(store: ModelStore, tmp_path: Path) -> None:
    """Versions are listed by number, the rejected too; an unused number is a gap."""
    publish_small(store, tmp_path)
    store.reserve("banking", "job-lost")
    publish_small(store, tmp_path, state="rejected")
    assert store.versions("banking") == [1, 3]
    assert store.manifest(VersionName("banking", 3)).state == "rejected"


def test_unknown_models_and_versions(store: ModelStore, tmp_path: Path) -> None:
    """An unknown model and an unknown version of a known model are told apart."""
    with pytest.raises(ModelNotFoundError):
        store.manifest(V1)
    with pytest.raises(ModelNotFoundError):
        store.versions("banking")
    publish_small(store, tmp_path)
    with pytest.raises(VersionNotFoundError) as caught:
        store.manifest(VersionName("banking", 9))
    assert caught.value.metadata == {"model": "banking", "version": "9"}


@pytest.mark.parametrize("model", ["", "..", "a/b", "Banking", "a" * 64])
def test_names_never_become_paths(store: ModelStore, model: str) -> None:
    """A malformed model name is refused by every call that takes one."""
    for call in (store.versions, store.aliases, lambda name: store.reserve(name, "job-a")):
        with pytest.raises(NameMalformedError):
            call(model)
    with pytest.raises(FieldInvalidError):
        store.manifest(VersionName("banking", 0))


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"\xff\xfe" + data,
        lambda data: b"[]",
        lambda data: data.replace(b'"labels":["', b'"labels":["x'),  # reads as well as before
        lambda data: data[:-1] + b',"note":""}',
        lambda data: _changed(data, b'"number":1', b'"number":2'),
        lambda data: _changed(data, b'"model":"banking"', b'"model":"shopping"'),
        lambda data: _changed(data, b'"task":"classification"', b'"task":"chess"'),
        lambda data: _changed(data, b'"state"', b'"mood"'),
    ],
)
def test_a_damaged_manifest_is_reported(
    objects: ObjectStore, store: ModelStore, tmp_path: Path, damage: object
) -> None:
    """A manifest that is cut, not JSON, changed, of another version or of no known shape is DATA_LOSS with its key."""
    assert callable(damage)
    version = publish_small(store, tmp_path)
    data = objects.read(layout.manifest(version))
    assert damage(data) != data
    _overwrite(objects, layout.manifest(version), damage(data), tmp_path)
    with pytest.raises(ArtifactCorruptError) as caught:
        store.manifest(version)
    assert caught.value.metadata["key"] == "models/banking/versions/0000001/manifest.json"


@pytest.mark.parametrize("schema", [1, 9])
def test_a_manifest_of_another_release_is_not_loadable(
    schema: int, objects: ObjectStore, store: ModelStore, tmp_path: Path
) -> None:
    """A manifest of an earlier or later schema is not damage: the server says which schema it met."""
    version = publish_small(store, tmp_path)
    key = layout.manifest(version)
    record = json.loads(unseal(key, objects.read(key)))
    newer = seal(json.dumps(record | {"schema_version": schema, "surprise": 1}).encode())
    _overwrite(objects, layout.manifest(version), newer, tmp_path)
    with pytest.raises(ModelNotLoadableError) as caught:
        store.manifest(version)
    assert caught.value.metadata == {"model_version": "banking@1", "cause": f"manifest schema {schema}"}


def test_foreign_files_are_passed_over(objects: ObjectStore, store: ModelStore, tmp_path: Path) -> None:
    """Names that Tagsmith never gave, in the folders that it counts in, change no listing."""
    publish_small(store, tmp_path)
    store.set_alias("banking", "production", 1, expected=0, actor="", reason="")
    for key in ("versions/notes/manifest.json", "versions/readme.txt", "aliases/production/old.json"):
        objects.create(f"models/banking/{key}", b"?")
    assert store.versions("banking") == [1]
    assert store.alias("banking", "production").sequence == 1
    assert store.reserve("banking", "job-b") == VersionName("banking", 2)
    for key in (
        "models/banking.bak/versions/0000001/manifest.json",
        "models/banking/aliases/Old/00000001.json",
    ):
        objects.create(key, b"?")
    objects.create("datasets/support.bak/latest/00000001.json", b"?")
    assert store.models() == ["banking"]
    assert [record.alias for record in store.aliases("banking").records] == ["production"]
    assert DatasetStore(objects).names() == []


def test_errors_are_typed(store: ModelStore) -> None:
    """Whatever is asked of an empty store, the answer is a TagsmithError, never a KeyMissingError."""
    for call in (
        lambda: store.manifest(V1),
        lambda: store.versions("banking"),
        lambda: store.alias("banking", "production"),
        lambda: store.aliases("banking"),
        lambda: store.alias_history("banking", "production"),
        lambda: store.set_alias("banking", "production", 1, expected=None, actor="", reason=""),
    ):
        with pytest.raises(TagsmithError) as caught:
            call()
        assert caught.value.reason == "MODEL_NOT_FOUND"
    assert store.models() == []


def _overwrite(objects: ObjectStore, key: str, data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "damaged"
    file.write_bytes(data)
    objects.put(key, file)


def _changed(data: bytes, old: bytes, new: bytes) -> bytes:
    """Another record, sealed anew: its content has to give it away."""
    return seal(unseal("", data).replace(old, new))
