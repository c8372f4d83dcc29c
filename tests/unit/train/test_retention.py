"""Deleting rows: what jobs need stays, what is gone is gone, and the bare name means the newest that is left."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest

from services.train.retention import Retention
from shared.data.rows import Row
from shared.errors import DatasetInUseError, DatasetNotFoundError
from shared.names import DatasetName
from shared.store.datasets import DatasetStore, Snapshot
from shared.store.memory import MemoryStore


class Desk:
    """A store of rows, and what jobs need of it."""

    def __init__(self) -> None:
        self.objects = MemoryStore()
        self.datasets = DatasetStore(self.objects)
        self.needed: list[tuple[str, str]] = []
        self.lock = threading.Lock()
        self.retention = Retention(
            self.datasets, lambda: self.needed, asyncio.Lock(), submitting=lambda: self.lock
        )

    def save(self, name: str, *texts: str) -> Snapshot:
        """A snapshot of these texts."""
        rows = [Row(text, label="ab"[i % 2]) for i, text in enumerate(texts)]
        return self.datasets.save(name, "classification", {"train": rows, "validation": rows, "test": rows})

    def snapshot(self, name: str) -> Snapshot:
        """What a name means."""
        return self.datasets.snapshot(DatasetName.parse(name))


@pytest.fixture
def desk() -> Desk:
    """An empty one."""
    return Desk()


async def test_of_a_deleted_dataset_nothing_is_left(desk: Desk) -> None:
    """All snapshots, their rows and the records of the bare name; another dataset stays; the same rows can be stored again."""
    first, second = desk.save("support", "a", "b"), desk.save("support", "a", "c")
    other = desk.save("other", "a", "b")
    deleted = await desk.retention.delete("support")
    assert sorted(deleted) == sorted([first.name, second.name])
    assert list(desk.objects.list_keys("datasets/support")) == []
    assert desk.datasets.names() == ["other"]
    assert desk.snapshot("other").name == other.name
    with pytest.raises(DatasetNotFoundError):
        await desk.retention.delete("support")
    assert desk.save("support", "a", "b").name == first.name
    assert desk.snapshot("support").name == first.name


async def test_the_bare_name_means_the_newest_that_is_left(desk: Desk) -> None:
    """Deleting the newest snapshot goes back to the one before; deleting an older one changes nothing."""
    names = [desk.save("support", "a", text).name for text in "xyz"]
    assert await desk.retention.delete(names[2]) == [names[2]]
    assert desk.snapshot("support").name == names[1]
    await desk.retention.delete(names[0])
    assert desk.snapshot("support").name == names[1]
    assert len(desk.datasets.rows(desk.snapshot("support"), "train")) == 2


async def test_what_a_job_needs_is_not_deleted(desk: Desk) -> None:
    """Neither by its own name nor with all of its dataset; another snapshot of it may go."""
    needed, free = desk.save("support", "a", "b"), desk.save("support", "a", "c")
    desk.needed = [("job-2", needed.name), ("job-1", needed.name)]
    for name in (needed.name, "support"):
        with pytest.raises(DatasetInUseError) as caught:
            await desk.retention.delete(name)
        assert caught.value.metadata == {"dataset": name, "jobs": "job-1,job-2"}
    assert await desk.retention.delete(free.name) == [free.name]
    assert desk.snapshot("support").name == needed.name


async def test_snapshots_expire_by_their_age_unless_a_job_needs_them(desk: Desk) -> None:
    """What was stored before the moment goes; what was stored after it, and what is needed, stays."""
    old, needed = desk.save("support", "a", "b"), desk.save("support", "a", "c")
    desk.needed = [("job-1", needed.name)]
    assert await desk.retention.expire(old.create_time) == []
    assert await desk.retention.expire(datetime.now(UTC) + timedelta(seconds=1)) == [old.name]
    assert desk.snapshot("support").name == needed.name


async def test_rows_that_are_imported_again_live_anew(desk: Desk) -> None:
    """Their age counts from the last import of just these rows, however old the snapshot is; then they go, and nothing is left of them."""
    first = desk.save("support", "a", "b")
    other = desk.save("support", "a", "c")
    between = datetime.now(UTC)
    assert desk.save("support", "a", "b") == first
    assert desk.datasets.import_time(first) > between > desk.datasets.import_time(other)
    assert await desk.retention.expire(between) == [other.name]
    assert desk.snapshot("support").name == first.name
    assert await desk.retention.expire(datetime.now(UTC)) == [first.name]
    assert list(desk.objects.list_keys("datasets")) == []


async def test_the_bare_name_goes_back_to_the_last_import(desk: Desk) -> None:
    """Not to the snapshot that was stored last: importing an older state again made it the newer one."""
    first, second = desk.save("support", "a", "b"), desk.save("support", "a", "c")
    desk.save("support", "a", "b")
    third = desk.save("support", "a", "d")
    await desk.retention.delete(third.name)
    assert desk.snapshot("support").name == first.name != second.name


@pytest.mark.parametrize("sweeps", [False, True])
async def test_a_job_that_is_being_accepted_keeps_its_rows(desk: Desk, *, sweeps: bool) -> None:
    """A deletion that begins while a submission has found its rows waits until the job is known, and then leaves them."""
    kept = desk.save("support", "a", "b")
    desk.lock.acquire()
    later = datetime.now(UTC) + timedelta(seconds=1)
    deletion = asyncio.ensure_future(
        desk.retention.expire(later) if sweeps else desk.retention.delete("support")
    )
    await asyncio.sleep(0.1)
    desk.needed = [("job-1", kept.name)]
    desk.lock.release()
    if sweeps:
        assert await deletion == []
    else:
        with pytest.raises(DatasetInUseError):
            await deletion
    assert desk.snapshot("support").name == kept.name


async def test_looks_go_on(desk: Desk) -> None:
    """A snapshot that is stored after the first look goes at a later one; without a bound there is no look at all."""
    sweep = asyncio.create_task(desk.retention.expire_for_ever(1e-9, interval_s=0.01))
    await asyncio.sleep(0.05)
    desk.save("support", "a", "b")
    async with asyncio.timeout(5):
        while desk.datasets.names():  # noqa: ASYNC110 - a store sets no event
            await asyncio.sleep(0.01)
    sweep.cancel()
    await asyncio.wait_for(desk.retention.expire_for_ever(None), 1)
