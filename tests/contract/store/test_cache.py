"""The file cache: what it hands out has its digest."""

import errno
import hashlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import ArtifactCorruptError, StoreUnavailableError
from shared.store import layout
from shared.store.cache import FileCache
from shared.store.manifest import StoredFile
from shared.store.models import ModelStore
from shared.store.port import ObjectStore
from tests.contract.store.racing import race

CONTENT = b"weights" * 100_000


class CountingStore:
    """Counts downloads."""

    def __init__(self, objects: ObjectStore) -> None:
        """Pass everything on to `objects`."""
        self._objects = objects
        self.downloads: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._objects, name)

    def download(self, key: str, destination: Path) -> None:
        """Count and pass on."""
        self.downloads.append(key)
        self._objects.download(key, destination)


@pytest.fixture
def counting(objects: ObjectStore) -> CountingStore:
    """Return the store behind a counter."""
    return CountingStore(objects)


@pytest.fixture
def file(store: ModelStore, tmp_path: Path) -> Iterator[StoredFile]:
    """Return a stored file."""
    (tmp_path / "weights").write_bytes(CONTENT)
    return store.put_file(tmp_path / "weights")


@pytest.fixture
def cache(counting: CountingStore, tmp_path: Path) -> FileCache:
    """Return an empty cache, in `tmp_path / "cache"`."""
    return FileCache(counting, tmp_path / "cache")


def test_a_file_is_fetched_once(
    cache: FileCache, counting: CountingStore, file: StoredFile, tmp_path: Path
) -> None:
    """The second fetch, also by a cache opened later, finds the copy of the first."""
    path = cache.fetch(file)
    assert path.read_bytes() == CONTENT
    assert cache.fetch(file) == path
    assert FileCache(counting, tmp_path / "cache").fetch(file) == path
    assert counting.downloads == [layout.blob(file.digest)]


def test_eight_threads_fetch_one_digest(cache: FileCache, counting: CountingStore, file: StoredFile) -> None:
    """Eight threads that ask at once get the same whole file, downloaded once."""
    paths = race(8, lambda _: hashlib.sha256(cache.fetch(file).read_bytes()).hexdigest())
    assert paths == [file.digest] * 8
    assert len(counting.downloads) == 1


@pytest.mark.parametrize("damage", [b"", b"x", CONTENT[:-1], CONTENT + b"x", b"W" + CONTENT[1:]])
def test_a_damaged_copy_heals(
    cache: FileCache, counting: CountingStore, file: StoredFile, damage: bytes
) -> None:
    """A copy whose bytes have changed is fetched anew."""
    cache.fetch(file).write_bytes(damage)
    assert cache.fetch(file).read_bytes() == CONTENT
    assert len(counting.downloads) == 2


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], b"W" + CONTENT[1:]])
def test_a_tampered_blob_is_reported(
    objects: ObjectStore, store: ModelStore, cache: FileCache, file: StoredFile, tmp_path: Path, damage: bytes
) -> None:
    """A blob that is not what its digest says is DATA_LOSS with its key, never handed out, and mended by storing it again."""
    (tmp_path / "tampered").write_bytes(damage)
    objects.put(layout.blob(file.digest), tmp_path / "tampered")
    with pytest.raises(ArtifactCorruptError) as caught:
        cache.fetch(file)
    assert caught.value.metadata == {
        "key": layout.blob(file.digest),
        "expected": file.digest,
        "found": hashlib.sha256(damage).hexdigest(),
    }
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{file.digest}.lock"]
    assert store.put_file(tmp_path / "weights") == file
    assert cache.fetch(file).read_bytes() == CONTENT


def test_a_missing_blob_is_reported(cache: FileCache) -> None:
    """A blob that a manifest promises and the store lacks is DATA_LOSS with its key."""
    with pytest.raises(ArtifactCorruptError) as caught:
        cache.fetch(StoredFile(digest="e" * 64, size_bytes=1))
    assert caught.value.metadata == {"key": layout.blob("e" * 64), "expected": "e" * 64, "found": "nothing"}


def test_what_a_dead_fetcher_left_is_thrown_away(cache: FileCache, file: StoredFile, tmp_path: Path) -> None:
    """Half a download of a process that died is in nobody's way."""
    (tmp_path / "cache" / f"{file.digest}.partial").write_bytes(CONTENT[:1000])
    assert cache.fetch(file).read_bytes() == CONTENT
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [
        file.digest,
        f"{file.digest}.lock",
    ]


def test_a_full_disk_under_the_cache(
    cache: FileCache, objects: ObjectStore, file: StoredFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A download that finds no room is STORE_UNAVAILABLE, leaves nothing behind, and succeeds once there is room."""

    def no_room(key: str, destination: Path) -> None:
        destination.write_bytes(objects.read(key)[:1000])
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(CountingStore, "download", lambda _, key, destination: no_room(key, destination))
        with pytest.raises(StoreUnavailableError) as caught:
            cache.fetch(file)
    assert caught.value.metadata["os_error"] == "ENOSPC"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f"{file.digest}.lock"]
    assert cache.fetch(file).read_bytes() == CONTENT


def test_only_what_is_named_is_kept(
    cache: FileCache, counting: CountingStore, store: ModelStore, file: StoredFile, tmp_path: Path
) -> None:
    """Other copies go, with their locks and half downloads; what is no copy stays, and a copy that went can be fetched again."""
    (tmp_path / "other").write_bytes(b"other")
    other = store.put_file(tmp_path / "other")
    cache.fetch(file)
    cache.fetch(other)
    (tmp_path / "cache" / f"{'e' * 64}.partial").write_bytes(b"half")
    (tmp_path / "cache" / "notes.txt").write_bytes(b"of the operator")
    cache.keep_only({file.digest})
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted(
        [file.digest, f"{file.digest}.lock", "notes.txt"]
    )
    assert cache.fetch(other).read_bytes() == b"other"
    assert counting.downloads.count(layout.blob(other.digest)) == 2


def test_deleting_under_fetchers_hurts_nobody(
    cache: FileCache, counting: CountingStore, file: StoredFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While four threads fetch a digest and four delete it, lock file and all, no two ever download it at once."""
    alone, download = threading.Lock(), CountingStore.download

    def download_alone(self: CountingStore, key: str, destination: Path) -> None:
        assert alone.acquire(blocking=False)
        try:
            download(self, key, destination)
        finally:
            alone.release()

    monkeypatch.setattr(CountingStore, "download", download_alone)

    def work(number: int) -> None:
        for _ in range(30):
            if number % 2:
                cache.keep_only(())
            else:
                cache.fetch(file)

    race(8, work)
    assert len(counting.downloads) > 1


def test_a_folder_that_was_tidied_away_is_made_again(
    store: ModelStore, objects: ObjectStore, tmp_path: Path
) -> None:
    """Caches stand in temporary folders, which others empty and remove."""
    (tmp_path / "file").write_bytes(CONTENT)
    file = store.put_file(tmp_path / "file")
    cache = FileCache(objects, tmp_path / "cache")
    cache.fetch(file)
    shutil.rmtree(tmp_path / "cache")
    assert cache.fetch(file).read_bytes() == CONTENT
