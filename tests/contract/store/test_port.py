"""What every adapter of the port does."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import NameMalformedError
from shared.store.port import KeyExistsError, KeyMissingError, ObjectStore
from tests.contract.store.conftest import MakeStore
from tests.contract.store.racing import race


def test_create_is_exclusive(objects: ObjectStore) -> None:
    """A key is created once; the second attempt fails and changes nothing."""
    objects.create("a/b.json", b"first")
    with pytest.raises(KeyExistsError):
        objects.create("a/b.json", b"second")
    assert objects.read("a/b.json") == b"first"


def test_of_racing_creators_one_wins(objects: ObjectStore) -> None:
    """Of 16 threads that create one key, one succeeds and its bytes are the object's."""

    def create(number: int) -> bool:
        try:
            objects.create("a/b", str(number).encode())
        except KeyExistsError:
            return False
        return True

    won = [number for number, created in enumerate(race(16, create)) if created]
    assert [objects.read("a/b")] == [str(number).encode() for number in won]


def test_put_and_download(objects: ObjectStore, tmp_path: Path) -> None:
    """A file of more than one chunk comes back byte for byte, and a second put of it changes nothing."""
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 10_000)
    objects.put("blobs/x", source)
    objects.put("blobs/x", source)
    objects.download("blobs/x", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert list(objects.list_keys("blobs")) == ["blobs/x"]


@pytest.mark.parametrize("damaged", [b"damagad", b"dam", b"damaged and more", b""])
def test_put_replaces_a_damaged_object(objects: ObjectStore, tmp_path: Path, damaged: bytes) -> None:
    """Putting the right bytes mends an object whose bytes have changed, whatever their size."""
    objects.create("blobs/x", damaged)
    source = tmp_path / "source"
    source.write_bytes(b"damaged")
    objects.put("blobs/x", source)
    assert objects.read("blobs/x") == b"damaged"


def test_put_of_a_missing_file(objects: ObjectStore, tmp_path: Path) -> None:
    """A source that is not there is the caller's fault, not the store's."""
    with pytest.raises(FileNotFoundError):
        objects.put("blobs/x", tmp_path / "none")
    assert not objects.exists("blobs/x")


def test_missing_keys(objects: ObjectStore, tmp_path: Path) -> None:
    """What is not there is missing, and so is a folder read as an object."""
    objects.create("a/b/c", b"")
    for key in ("x", "a/x", "a/b/c2", "x/y/z", "a/b"):
        assert not objects.exists(key)
        with pytest.raises(KeyMissingError):
            objects.read(key)
        with pytest.raises(KeyMissingError):
            objects.download(key, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert objects.exists("a/b/c")


def test_what_is_deleted_is_missing_and_may_be_created_anew(objects: ObjectStore) -> None:
    """Of two objects the other stays; a folder without objects is listed no more; deleting what is not there is no error."""
    for key in ("m/a/1", "m/b/1"):
        objects.create(key, b"old")
    objects.delete("m/a/1")
    objects.delete("m/a/1")
    objects.delete("none/at/all")
    assert not objects.exists("m/a/1")
    with pytest.raises(KeyMissingError):
        objects.read("m/a/1")
    assert list(objects.list_keys("m")) == ["m/b/1"]
    assert objects.list_folders("m") == ["b"]
    objects.create("m/a/1", b"new")
    assert objects.read("m/a/1") == b"new"


def test_download_never_overwrites(objects: ObjectStore, tmp_path: Path) -> None:
    """The local file must be new."""
    objects.create("a", b"stored")
    (tmp_path / "copy").write_bytes(b"mine")
    with pytest.raises(Exception, match="EEXIST"):
        objects.download("a", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"mine"


def test_listing(objects: ObjectStore) -> None:
    """Keys are listed at every depth, folders at one; a folder's name is not a prefix of letters."""
    for key in ("m/a/1", "m/a/2/x", "m/b/1", "m/ab", "mm/a/1"):
        objects.create(key, b"")
    assert sorted(objects.list_keys("m")) == ["m/a/1", "m/a/2/x", "m/ab", "m/b/1"]
    assert sorted(objects.list_keys("m/a")) == ["m/a/1", "m/a/2/x"]
    assert objects.list_folders("m") == ["a", "b"]
    assert objects.list_folders("m/a") == ["2"]
    assert objects.list_folders("none") == []
    assert list(objects.list_keys("none")) == []


BAD_KEYS = ["", "/", "/etc/passwd", "a/", "a//b", "..", "../x", "a/../../x", "a/./b", ".hidden", "~writing/x"]
BAD_KEYS += ["a b", "a\\b", "a\0b", "a\n", "ä", "a:b", "%2e%2e/x"]


@pytest.mark.parametrize("key", BAD_KEYS)
def test_keys_that_could_lead_out_are_refused(objects: ObjectStore, tmp_path: Path, key: str) -> None:
    """No call takes a key that is not made of plain segments."""
    source = tmp_path / "source"
    source.write_bytes(b"")
    calls = [
        lambda: objects.create(key, b""),
        lambda: objects.put(key, source),
        lambda: objects.read(key),
        lambda: objects.download(key, tmp_path / "copy"),
        lambda: objects.exists(key),
        lambda: objects.delete(key),
        lambda: list(objects.list_keys(key)),
        lambda: objects.list_folders(key),
    ]
    for call in calls:
        with pytest.raises(NameMalformedError):
            call()


KEYS = st.lists(st.sampled_from(["a", "b", "0", "a.b", "Z-_"]), min_size=2, max_size=2).map("/".join)


@settings(max_examples=25, deadline=None)
@given(
    operations=st.lists(
        st.tuples(st.sampled_from(["create", "read"]), KEYS, st.binary(max_size=40)), max_size=12
    )
)
def test_a_store_is_a_dictionary(make_store: MakeStore, operations: list[tuple[str, str, bytes]]) -> None:
    """Any run of creates and reads does to a store what it does to a dictionary that never overwrites."""
    objects, model = make_store(), dict[str, bytes]()
    for operation, key, data in operations:
        if operation == "create" and key in model:
            with pytest.raises(KeyExistsError):
                objects.create(key, data)
        elif operation == "create":
            objects.create(key, data)
            model[key] = data
        elif key in model:
            assert objects.read(key) == model[key]
        else:
            with pytest.raises(KeyMissingError):
                objects.read(key)
    for folder in ("a", "b", "0", "a.b", "Z-_"):
        assert sorted(objects.list_keys(folder)) == sorted(
            key for key in model if key.startswith(f"{folder}/")
        )
