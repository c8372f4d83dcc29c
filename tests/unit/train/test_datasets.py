"""Imports where the service's own means end: memory and disk."""

import asyncio
import errno
import os
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.train.datasets import MOST_CHUNK_BYTES, Datasets, FileHeader
from services.train.sources import Sources, open_below
from shared.errors import FieldInvalidError, StoreUnavailableError
from shared.store.datasets import DatasetStore
from shared.store.memory import MemoryStore

HEADER = FileHeader(dataset="rows", file_name="rows.csv", split=None, server_path="", task="classification")
CHUNK = b"x" * MOST_CHUNK_BYTES


async def upload(chunk_count: int) -> AsyncIterator[FileHeader | bytes]:
    """A header and so many chunks of 1 MiB."""
    yield HEADER
    for _ in range(chunk_count):
        yield CHUNK


@pytest.fixture
def store() -> DatasetStore:
    """An empty dataset store."""
    return DatasetStore(MemoryStore())


@pytest.fixture
def datasets(tmp_path: Path, store: DatasetStore) -> Datasets:
    """Takes 64 MiB an import."""
    return Datasets(
        store,
        spool=tmp_path / "spool",
        sources=Sources((), ()),
        most_bytes=64 * MOST_CHUNK_BYTES,
        turn=asyncio.Lock(),
    )


async def test_an_upload_is_spooled_in_bounded_memory(
    datasets: Datasets, store: DatasetStore, tmp_path: Path
) -> None:
    """65 MiB are refused at the limit of 64 with less than 4 MiB of memory taken, and no file is left."""
    tracemalloc.start()
    try:
        with pytest.raises(FieldInvalidError) as raised:
            await datasets.import_parts(upload(65))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * 1024 * 1024
    assert raised.value.metadata["limit_bytes"] == str(64 * MOST_CHUNK_BYTES)
    assert list((tmp_path / "spool").iterdir()) == []
    assert store.names() == []


async def test_a_full_disk_is_a_store_that_is_away(
    datasets: Datasets, store: DatasetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the spool's disk is full in mid-upload the call fails as retryable, and nothing is stored."""
    real_write = os.write

    def write(number: int, data: bytes) -> int:
        if len(data) >= MOST_CHUNK_BYTES:  # a part of a chunk still fits
            return real_write(number, data[:1000])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("services.train.datasets.os.write", write)
    with pytest.raises(StoreUnavailableError) as raised:
        await datasets.import_parts(upload(1))
    assert raised.value.metadata["os_error"] == "ENOSPC"
    assert store.names() == []


@pytest.mark.parametrize("swapped", ["allowed/deep", "allowed/deep/rows.csv", "allowed"])
def test_a_link_that_was_put_there_since_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    """A folder or file that becomes a symlink between the look at a server path and its opening is not followed out of the root."""
    for folder in ("allowed", "outside"):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / "deep" / "rows.csv").write_text(folder)
    root, path = tmp_path / "allowed", tmp_path / "allowed" / "deep" / "rows.csv"
    with open_below([root], str(path)) as file:
        assert file.read() == b"allowed"

    real_path = os.path.realpath

    def look_then_swap(server_path: str) -> str:
        seen = real_path(server_path)
        (tmp_path / swapped).rename(tmp_path / "moved")
        (tmp_path / swapped).symlink_to(tmp_path / swapped.replace("allowed", "outside"))
        return seen

    monkeypatch.setattr("services.train.sources.os.path.realpath", look_then_swap)
    with pytest.raises(FieldInvalidError):
        open_below([root], str(path))
