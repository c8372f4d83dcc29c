"""What is true of buckets alone: conditions that are ignored, servers that are away, memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import FieldInvalidError, StoreUnavailableError
from shared.store.bucket import BucketStore, copy_object
from shared.store.opening import open_store
from shared.store.port import KeyMissingError, ObjectStore
from shared.store.probe import check_creates_once
from tests.contract.store.s3_servers import BUCKET, rclone

MIB = 1 << 20


def test_every_adapter_creates_once(objects: ObjectStore) -> None:
    """The probe passes, at the first start and at every later one, and leaves one small object."""
    check_creates_once(objects)
    check_creates_once(objects)
    assert len(objects.read("probe.json")) < 100


def test_a_server_that_ignores_conditions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real S3 look-alike that overwrites in silence is found out, at every start, and told what is wrong with it."""
    (tmp_path / BUCKET).mkdir()
    with rclone(tmp_path) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for _ in range(2):
            with pytest.raises(FieldInvalidError, match="If-None-Match"):
                check_creates_once(open_store(f"s3://{BUCKET}/store"))


def test_a_bucket_that_is_not_there_is_a_store_that_is_away(s3: dict[str, str]) -> None:
    """A wrong bucket name is not an empty store: the first write and the first listing say so, without the server's words."""
    objects = open_store("s3://nowhere/store")
    for call in (lambda: check_creates_once(objects), lambda: list(objects.list_keys("models"))):
        with pytest.raises(StoreUnavailableError) as caught:
            call()
        assert "http" not in caught.value.message


def test_wrong_credentials_are_a_store_that_is_away(
    s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that nobody listens at is told as such, soon, and the secret in the environment is not repeated."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    objects = BucketStore("s3://models/x", retries=0)
    with pytest.raises(StoreUnavailableError) as caught:
        objects.read("a")
    assert s3["AWS_SECRET_ACCESS_KEY"] not in caught.value.message


def test_objects_that_are_no_stores_are_copied(s3: dict[str, str], tmp_path: Path) -> None:
    """Any key of a bucket may be read, up to a limit, beyond which its size is told and nothing is copied."""
    objects = BucketStore(f"s3://{BUCKET}/data")
    (tmp_path / "rows").write_bytes(b"text,label\n" * 1000)
    objects.put("rows.csv", tmp_path / "rows")
    url = f"s3://{BUCKET}/data/rows.csv"
    with (tmp_path / "copy").open("w+b") as copy:
        assert copy_object(url, copy, most_bytes=100) == 11_000
        assert copy.tell() == 0
        assert copy_object(url, copy, most_bytes=11_000) == 11_000
        copy.seek(0)
        assert copy.read() == b"text,label\n" * 1000
        with pytest.raises(KeyMissingError):
            copy_object(url + "x", copy, most_bytes=11_000)


_TRANSFER = """
import resource, sys
from pathlib import Path
from shared.store.bucket import BucketStore
source, copy = map(Path, sys.argv[2:])
objects = BucketStore(sys.argv[1])
objects.exists("warm")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
objects.put("blobs/large", source)
objects.download("blobs/large", copy)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10)
"""


def transfer_bytes(size_bytes: int, folder: Path) -> int:
    """Send a file of zeros and fetch it again, in a process of its own; return by how much its resident memory grew at most."""
    source, copy = folder / "source", folder / "copy"
    with source.open("wb") as file:
        file.truncate(size_bytes)
    command = [sys.executable, "-c", _TRANSFER, f"s3://{BUCKET}/memory", str(source), str(copy)]
    grown = subprocess.run(command, env=os.environ, check=True, capture_output=True, text=True).stdout
    assert copy.stat().st_size == size_bytes
    return int(grown)


def test_memory_does_not_grow_with_an_object(s3: dict[str, str], tmp_path: Path) -> None:
    """256 MiB go up and come down in less than 128 MiB of memory: parts, and not the object, are held."""
    assert transfer_bytes(256 * MIB, tmp_path) < 128 * MIB


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_for_two_gigabytes(s3: dict[str, str], tmp_path: Path) -> None:
    """So do 2 GiB."""
    assert transfer_bytes(2048 * MIB, tmp_path) < 128 * MIB
