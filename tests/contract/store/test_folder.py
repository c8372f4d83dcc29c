"""What the folder store adds to the port: it survives crashes and full disks, and nothing leads out of it."""

import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from shared.errors import ArtifactCorruptError, StoreUnavailableError, TagsmithError
from shared.names import VersionName
from shared.store import folder, layout
from shared.store.cache import FileCache
from shared.store.folder import FolderStore
from shared.store.models import ModelStore
from shared.store.port import KeyExistsError, KeyMissingError
from tests.contract.store import forked
from tests.contract.store.failpoints import Failpoints, failing
from tests.contract.store.publishing import manifest_of, publish_small, put_files


def _assert_whole(root: Path, cache: Path) -> list[int]:
    """Check that every listed version has its manifest and whole files, and that nothing else is listed."""
    objects = FolderStore(root)
    store = ModelStore(objects)
    if not store.models():
        return []
    numbers = store.versions("banking")
    for number in numbers:
        for file in store.manifest(VersionName("banking", number)).files:
            FileCache(objects, cache).fetch(file)
    for key in objects.list_keys("blobs"):
        assert hashlib.sha256(objects.read(key)).hexdigest() == key.rpartition("/")[2]
    assert {key.rpartition("/")[2] for key in objects.list_keys("models")} <= {
        "reserved.json",
        "00000001.json",
        "manifest.json",
    }
    assert all(any(objects.list_keys(f"models/{name}")) for name in objects.list_folders("models"))
    return numbers


def test_g3_sixteen_publishing_processes(folder_store: FolderStore, tmp_path: Path) -> None:
    """G3: 16 processes publish one number at once, eight of its job, each with its own files, and eight of another job: one
    manifest stands, of the number's job; its publishers are content, the others hear VERSION_CONFLICT."""
    store = ModelStore(folder_store)
    version = store.reserve("banking", "job-0")
    outcomes = forked.run("race", "publish", tmp_path / "store")
    assert outcomes == [(number, ("published", "VERSION_CONFLICT")[number % 2]) for number in range(16)]
    assert store.manifest(version).lineage.job_id == "job-0"
    assert _assert_whole(tmp_path / "store", tmp_path / "cache") == [1]


def test_sixteen_reserving_processes(tmp_path: Path) -> None:
    """16 processes that reserve at once get the numbers 1 to 16, each once."""
    outcomes = forked.run("race", "reserve", tmp_path / "store")
    assert sorted(name for _, name in outcomes) == sorted(f"banking@{number}" for number in range(1, 17))


def test_g4_killed_at_every_system_call(tmp_path: Path) -> None:
    """G4: a publisher killed with SIGKILL at any of its system calls leaves no version or a whole one, and the next succeeds."""
    outcomes = forked.run("crash", tmp_path / "stores")
    [(calls, outcome)] = outcomes  # all others died
    assert outcome == "published"
    assert calls > 50
    states = [_assert_whole(tmp_path / "stores" / str(at), tmp_path / "cache") for at in range(calls)]
    assert states[0] == []
    assert states[-1] == [1]
    for at in range(0, calls, 7):
        root = tmp_path / "stores" / str(at)
        version = publish_small(ModelStore(FolderStore(root)), tmp_path / "scratch", job_id="job-b")
        assert version.number in _assert_whole(root, tmp_path / "cache")


def test_g4_killed_at_random_moments(tmp_path: Path) -> None:
    """G4: SIGKILL in the middle of publishing, at moments that nobody chose: what was acknowledged is there, all of it whole."""
    root = tmp_path / "store"
    moments = random.Random(4)  # noqa: S311  not a secret
    acknowledged = 0
    for _ in range(4):
        command = [sys.executable, "-m", "tests.contract.store.forked", "publish", root]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as publisher:
            assert publisher.stdout is not None
            publisher.stdout.readline()
            time.sleep(moments.uniform(0, 0.15))
            publisher.send_signal(signal.SIGKILL)
            acknowledged += 1 + publisher.stdout.read().count(b"\n")
        assert len(_assert_whole(root, tmp_path / "cache")) >= acknowledged


def test_g5_sixteen_moving_processes(folder_store: FolderStore, tmp_path: Path) -> None:
    """G5: 16 processes move one alias from version 1 at once: one wins, 15 hear ALIAS_CONFLICT, the history is linear."""
    store = ModelStore(folder_store)
    for _ in range(17):
        version = store.reserve("banking", "job-a")
        store.publish(manifest_of(version, "job-a", put_files(store, tmp_path, "same")))
    store.set_alias("banking", "production", 1, expected=0, actor="", reason="")
    outcomes = [outcome for _, outcome in forked.run("race", "move", tmp_path / "store")]
    assert outcomes.count("ALIAS_CONFLICT") == 15
    last, first = store.alias_history("banking", "production")
    assert (first.version, last.previous, last.sequence) == (1, 1, 2)
    assert int(last.actor) == outcomes.index(
        next(outcome for outcome in outcomes if outcome != "ALIAS_CONFLICT")
    )


def test_sixteen_fetching_processes(folder_store: FolderStore, tmp_path: Path) -> None:
    """16 processes with one cache folder fetch one digest at once: all get the same whole file, no leftovers remain."""
    _, graph = put_files(ModelStore(folder_store), tmp_path, "x")
    (tmp_path / "file.json").write_text(graph.model_dump_json())
    outcomes = {outcome for _, outcome in forked.run("race", "fetch", tmp_path / "store")}
    assert outcomes == {str(tmp_path / "cache" / graph.digest)}
    assert hashlib.sha256((tmp_path / "cache" / graph.digest).read_bytes()).hexdigest() == graph.digest
    assert not list((tmp_path / "cache").glob("*.partial"))


def _full() -> None:
    raise OSError(errno.ENOSPC, "no space left on device")


def test_disk_full_at_every_system_call(tmp_path: Path) -> None:
    """Whichever system call of a publication fails: STORE_UNAVAILABLE, no partial object, and the job's retry succeeds."""
    hits = set()
    for at in count():
        root = tmp_path / str(at)
        store = ModelStore(FolderStore(root))
        with failing(-1, _full):
            version = store.reserve("banking", "job-a")

        def publish(store: ModelStore = store, version: VersionName = version) -> None:
            store.publish(manifest_of(version, "job-a", put_files(store, tmp_path / "scratch", "x")))

        with failing(at, _full) as points:
            try:
                publish()
            except StoreUnavailableError as error:
                hits.add(points.hit)
                fault = error.metadata["os_error"]
            else:
                break
        assert fault == "ENOSPC"
        _assert_whole(root, tmp_path / "cache")
        with failing(-1, _full):
            publish()
        assert _assert_whole(root, tmp_path / "cache") == [1]
    assert hits == {"open", "mkdir", "fsync", "write", "link", "replace", "unlink"}


def test_a_limit_that_the_kernel_keeps(folder_store: FolderStore, tmp_path: Path) -> None:
    """A blob that the kernel refuses to write whole is STORE_UNAVAILABLE with its error number, and is not there."""
    (tmp_path / "graph").write_bytes(b"x" * 100_000)
    assert forked.run("limit", tmp_path / "store") == [(0, "STORE_UNAVAILABLE EFBIG")]
    assert list(folder_store.list_keys("blobs")) == []
    assert list((tmp_path / "store" / "~writing").iterdir()) == []
    stored = ModelStore(folder_store).put_file(tmp_path / "graph")
    assert list(folder_store.list_keys("blobs")) == [layout.blob(stored.digest)]


class Journal(Failpoints):
    """Records which files and folders were changed and fsynced, by inode."""

    def __init__(self) -> None:
        """Fail nowhere."""
        super().__init__(-1, lambda: None)
        self.entries: list[tuple[str, int]] = []

    def __getattr__(self, name: str) -> object:
        real = getattr(os, name)
        if name == "fsync":
            return lambda descriptor: (self._note("fsync", descriptor), real(descriptor))[1]
        if name == "mkdir":
            return lambda path, *, dir_fd: (real(path, dir_fd=dir_fd), self._note("change", dir_fd))[0]
        if name in {"link", "replace"}:

            def call(source: str, target: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
                written = os.stat(source, dir_fd=src_dir_fd).st_ino
                assert ("fsync", written) in self.entries, "a file got its name before its bytes were durable"
                real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
                self._note("change", dst_dir_fd)

            return call
        return real

    def undurable(self) -> list[int]:
        """Return the folders that changed after their last fsync."""
        last = {inode: what for what, inode in self.entries}
        return [inode for inode, what in last.items() if what == "change"]

    def _note(self, what: str, descriptor: int) -> None:
        self.entries.append((what, os.fstat(descriptor).st_ino))


def test_what_is_acknowledged_is_durable(
    folder_store: FolderStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a call returns, the file was fsynced before it got its name and every changed folder after; the loser's too."""
    (tmp_path / "blob").write_bytes(b"x")
    calls: list[Callable[[], object]] = [
        lambda: folder_store.create("a/b/c.json", b"{}"),
        lambda: folder_store.put("blobs/x/y", tmp_path / "blob"),
    ]
    for call in calls:
        journal = Journal()
        with monkeypatch.context() as patch:
            patch.setattr(folder, "os", journal)
            call()
        assert ("change", (tmp_path / "store").stat().st_ino) in journal.entries
        assert journal.undurable() == []
    journal = Journal()
    with monkeypatch.context() as patch:
        patch.setattr(folder, "os", journal)
        with pytest.raises(KeyExistsError):
            folder_store.create("a/b/c.json", b"{}")
    assert ("fsync", (tmp_path / "store/a/b").stat().st_ino) in journal.entries


def test_a_new_root_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder that had to be made for the root is durable before anything is stored in it."""
    journal = Journal()
    monkeypatch.setattr(folder, "os", journal)
    FolderStore(tmp_path / "a/b")
    assert journal.entries == [("fsync", path.stat().st_ino) for path in (tmp_path / "a", tmp_path)]


def test_crash_leftovers_are_never_listed(folder_store: FolderStore, tmp_path: Path) -> None:
    """Empty folders and files still being written are no models, no versions and no keys."""
    (tmp_path / "store/models/ghost/versions/0000001").mkdir(parents=True)
    (tmp_path / "store/~writing").mkdir()
    (tmp_path / "store/~writing/abc").write_bytes(b"half")
    store = ModelStore(folder_store)
    assert store.models() == []
    assert list(folder_store.list_keys("models")) == []
    assert store.reserve("ghost", "job-a") == VersionName("ghost", 1)


def test_abandoned_files_are_removed(folder_store: FolderStore, tmp_path: Path) -> None:
    """A write removes what a writer left that died over a day ago, and nothing younger."""
    writing = tmp_path / "store/~writing"
    writing.mkdir()
    for name, age_s in (("old", 25 * 3600), ("young", 23 * 3600)):
        (writing / name).write_bytes(b"half")
        os.utime(writing / name, (time.time() - age_s,) * 2)
    folder_store.create("a/b", b"")
    assert [path.name for path in writing.iterdir()] == ["young"]


def test_a_linked_file_is_refused(folder_store: FolderStore, tmp_path: Path) -> None:
    """A link in place of an object is damage: nothing outside is read, and a put replaces the link, not its target."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    folder_store.create("models/a", b"")
    (tmp_path / "store/models/b").symlink_to(secret)
    for call in (
        lambda: folder_store.read("models/b"),
        lambda: folder_store.exists("models/b"),
        lambda: folder_store.download("models/b", tmp_path / "copy"),
        lambda: folder_store.put("models/b", secret),
    ):
        with pytest.raises(ArtifactCorruptError) as caught:
            call()
        assert caught.value.metadata["key"] == "models/b"
    with pytest.raises(KeyExistsError):
        folder_store.create("models/b", b"")
    assert list(folder_store.list_keys("models")) == ["models/a"]
    assert not (tmp_path / "copy").exists()
    assert secret.read_bytes() == b"secret"


def test_a_linked_folder_is_refused(folder_store: FolderStore, tmp_path: Path) -> None:
    """A link in place of a folder leads nowhere, for readers and writers alike."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b").write_bytes(b"secret")
    (tmp_path / "store/models").symlink_to(outside)
    (tmp_path / "blob").write_bytes(b"x")
    for call in (
        lambda: folder_store.read("models/b"),
        lambda: folder_store.create("models/c", b""),
        lambda: folder_store.put("models/c", tmp_path / "blob"),
        lambda: list(folder_store.list_keys("models")),
        lambda: folder_store.list_folders("models"),
    ):
        with pytest.raises(ArtifactCorruptError):
            call()
    assert [path.name for path in outside.iterdir()] == ["b"]


def test_a_pipe_does_not_hang_a_reader(folder_store: FolderStore, tmp_path: Path) -> None:
    """A named pipe among the objects blocks nobody."""
    folder_store.create("models/a", b"")
    os.mkfifo(tmp_path / "store/models/b")
    assert folder_store.read("models/b") == b""
    assert list(folder_store.list_keys("models")) == ["models/a"]


def test_a_store_that_is_gone_is_not_an_empty_one(folder_store: FolderStore, tmp_path: Path) -> None:
    """When the root disappears (an unmounted volume), readers hear STORE_UNAVAILABLE, not NOT_FOUND."""
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    for call in (
        lambda: folder_store.read("a/b"),
        lambda: folder_store.exists("a/b"),
        lambda: list(folder_store.list_keys("a")),
        lambda: ModelStore(folder_store).models(),
        lambda: folder_store.create("a/b", b""),
    ):
        with pytest.raises(StoreUnavailableError) as caught:
            call()
        assert caught.value.metadata == {"operation": "open", "os_error": "ENOENT"}
    assert not (tmp_path / "store").exists()


def test_a_root_that_cannot_be_made(tmp_path: Path) -> None:
    """A file where the store's folder should be is STORE_UNAVAILABLE, and the message names no local path."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TagsmithError) as caught:
        FolderStore(tmp_path / "file" / "store")
    assert caught.value.reason == "STORE_UNAVAILABLE"
    assert str(tmp_path) not in caught.value.message


def test_no_descriptor_is_left_open(folder_store: FolderStore, tmp_path: Path) -> None:
    """Calls that succeed and calls that fail close all that they opened."""
    lowest = os.dup(0)  # a new descriptor takes the lowest free number
    os.close(lowest)
    (tmp_path / "blob").write_bytes(b"x")
    for number in range(20):
        folder_store.create(f"a/{number}", b"")
        folder_store.put("blobs/x", tmp_path / "blob")
        for key in ("a/0/x", "b/c", "a"):
            with pytest.raises((KeyMissingError, ArtifactCorruptError)):
                folder_store.read(key)
        folder_store.list_folders("a")
    again = os.dup(0)
    os.close(again)
    assert again == lowest
