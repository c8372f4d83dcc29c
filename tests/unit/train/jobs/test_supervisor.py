"""The supervisor and its attendants over a real table, with scripted trainers and a store that fails at will."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from services.train.engines.port import Exit
from services.train.events import Finished, PhaseStarted
from services.train.jobs import attendant as attendant_module
from services.train.jobs.attendant import Attendant
from services.train.jobs.database import Database, sqlite_url
from services.train.jobs.folders import JobFolder
from services.train.jobs.going_live import GoingLive
from services.train.jobs.publication import Publication
from services.train.jobs.record import JobRecord
from services.train.jobs.state_folder import StateFolder
from services.train.jobs.supervisor import Supervisor
from services.train.jobs.table import JobTable
from services.train.spec import Assignment
from shared.errors import (
    ArtifactCorruptError,
    BaseModelNotFoundError,
    StoreUnavailableError,
    VersionConflictError,
)
from shared.names import VersionName
from shared.store import layout
from shared.store.manifest import Manifest
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore, Reservation
from shared.store.records import create_record
from tests.tiny import tiny_manifest
from tests.unit.train.jobs.records import LATER, ScriptedEngine, ScriptedTrainer, job_record

ValueT = TypeVar("ValueT")


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries and polls come in milliseconds."""
    monkeypatch.setattr(attendant_module, "POLL_INTERVAL_S", 0.005)
    monkeypatch.setattr(attendant_module, "_RETRY_INTERVAL_S", 0.01)
    monkeypatch.setattr(attendant_module, "_LAST_WORD_GRACE_S", 0.05)


class FailingPublication(Publication):
    """Fails the next calls as it is told."""

    def __init__(self, models: ModelStore) -> None:
        super().__init__(models)
        self.failures: list[Exception] = []
        self.failures_before_promotion: list[Exception] = []
        self.failures_after_promotion: list[Exception] = []
        self.promotions = 0

    def manifest(self, job: JobRecord) -> Manifest | None:
        if self.failures:
            raise self.failures.pop(0)
        return super().manifest(job)

    def promote(self, job: JobRecord) -> None:
        if self.failures_before_promotion:
            raise self.failures_before_promotion.pop(0)
        super().promote(job)
        self.promotions += 1
        if self.failures_after_promotion:
            raise self.failures_after_promotion.pop(0)


@dataclass
class Shop:
    """A supervisor with all that it needs, over one folder."""

    folder: Path
    engine: ScriptedEngine
    most_running: int = 2
    most_silence_s: float = 60.0
    models: ModelStore = field(default_factory=lambda: ModelStore(MemoryStore()))

    def __post_init__(self) -> None:
        self.publication = FailingPublication(self.models)
        self.assign: Callable[[JobRecord], Assignment] = self._assign

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Shop"]:
        """Run the supervisor over the table, as the service does, and stop it at the end."""
        loop = asyncio.get_running_loop()
        self.table = JobTable(
            Database(sqlite_url(self.folder / "jobs.sqlite")),
            lambda job: loop.call_soon_threadsafe(self.supervisor.notice, job),
        )
        self.supervisor = Supervisor(self.table, self._attendant, most_running=self.most_running)
        await self.supervisor.adopt()
        running = asyncio.create_task(self.supervisor.run())
        try:
            yield self
        finally:
            self.supervisor.stop()
            await running
            self.table.close()

    def _attendant(self, job: JobRecord) -> Attendant:
        return Attendant(
            job,
            JobFolder(self.folder / job.id),
            table=self.table,
            engine=self.engine,
            publication=self.publication,
            going_live=GoingLive(self.models, ThreadPoolExecutor(1), patience_s=60.0),
            most_silence_s=self.most_silence_s,
            assign=lambda job: self.assign(job),
        )

    def _assign(self, job: JobRecord) -> Assignment:
        return Assignment(
            job_id=job.id,
            version=job.version,
            attempt=job.attempt,
            kept_folder="k",
            spec=job.spec,
            store="s",
            base_model_folder="b",
            threads=1,
        )

    async def until(self, number: int, *states: str) -> JobRecord:
        """Wait until a job is in one of `states`."""
        return await until(lambda: self._in_state(number, states), f"job {number} to be in {states}")

    def _in_state(self, number: int, states: tuple[str, ...]) -> JobRecord | None:
        job = self.table.job(job_record(number).id)
        return job if job.state in states else None

    async def trainer(self) -> ScriptedTrainer:
        """Wait for the first trainer."""
        return await until(lambda: next(iter(self.engine.trainers.values()), None), "a trainer")


async def until(probe: Callable[[], ValueT | None], what: str) -> ValueT:
    """Return the first answer of `probe`."""
    for _ in range(1000):
        if (found := probe()) is not None:
            return found
        await asyncio.sleep(0.005)
    raise AssertionError(f"waited for {what}")


def publishing(models: ModelStore, scratch: Path) -> Callable[[Path], ScriptedTrainer]:
    """A trainer that publishes, says so and ends well."""

    def play(folder: Path) -> ScriptedTrainer:
        job_id, attempt = folder.parent.parent.name, int(folder.name)
        number = int(job_id.removeprefix("job-"), 16)
        version = VersionName("banking", number)
        create_record(models._objects, layout.reservation(version), Reservation(job_id=job_id))
        manifest, paths = tiny_manifest(
            scratch / str(number),
            "classification",
            model="banking",
            number=number,
            job_id=job_id,
            attempt=attempt,
        )
        for path in paths.values():
            models.put_file(path)
        models.publish(manifest)
        story = (PhaseStarted(phase="PUBLISHING"), Finished())
        (folder / "events.jsonl").write_text("".join(event.model_dump_json() + "\n" for event in story))
        return ScriptedTrainer(exit_=Exit(code=0))

    return play


def hanging(_: Path) -> ScriptedTrainer:
    """A trainer that runs until it is stopped."""
    return ScriptedTrainer()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder."""
    return StateFolder(tmp_path / "state").path


async def test_no_more_run_than_are_allowed(folder: Path) -> None:
    """Jobs are claimed oldest first, as many as may run; the end of one makes room for the next."""
    async with Shop(folder, ScriptedEngine(hanging)).open() as shop:
        for number in (1, 2, 3):
            shop.table.add(job_record(number))
        await shop.until(1, "PREPARING")
        await shop.until(2, "PREPARING")
        await asyncio.sleep(0.05)
        assert shop.table.job(job_record(3).id).state == "QUEUED"

        shop.table.change(job_record(2).id, lambda job: job.cancelled(now=LATER))
        await shop.until(2, "CANCELLED")
        await shop.until(3, "PREPARING")


@pytest.mark.parametrize("failures", [1, 3])
async def test_a_store_that_is_away_loses_no_job(folder: Path, tmp_path: Path, failures: int) -> None:
    """While the store cannot be read a finished job waits; then it ends SUCCEEDED and its alias has moved once."""
    shop = Shop(folder, ScriptedEngine(hanging))
    shop.engine.on_start = publishing(shop.models, tmp_path)
    shop.publication.failures = [StoreUnavailableError("away")] * failures
    async with shop.open():
        shop.table.add(job_record(1))
        await shop.until(1, "SUCCEEDED")
    assert [record.actor for record in shop.models.alias_history("banking", "production")] == [
        job_record(1).id
    ]
    assert shop.engine.starts == 1


async def test_a_failure_between_promotion_and_record_promotes_once(folder: Path, tmp_path: Path) -> None:
    """A failure right after the alias moved leads to a second try, and to one move."""
    shop = Shop(folder, ScriptedEngine(hanging))
    shop.engine.on_start = publishing(shop.models, tmp_path)
    shop.publication.failures_after_promotion = [StoreUnavailableError("died after the move")]
    async with shop.open():
        shop.table.add(job_record(1))
        await shop.until(1, "SUCCEEDED")
    assert shop.publication.promotions == 2
    assert len(shop.models.alias_history("banking", "production")) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ArtifactCorruptError("damaged", key="k"), "ARTIFACT_CORRUPT"),
        (ValueError("secret words"), "INTERNAL"),
    ],
)
async def test_a_promotion_that_fails_takes_nothing_from_the_version(
    folder: Path, tmp_path: Path, error: Exception, reason: str
) -> None:
    """A published version whose alias cannot be moved is SUCCEEDED with its metrics; the job's error says why it was not moved."""
    shop = Shop(folder, ScriptedEngine(hanging))
    shop.engine.on_start = publishing(shop.models, tmp_path)
    shop.publication.failures_before_promotion = [error]
    async with shop.open():
        shop.table.add(job_record(1))
        ended = await shop.until(1, "SUCCEEDED", "FAILED")
    assert (ended.state, ended.metrics["validation.accuracy"]) == ("SUCCEEDED", 1.0)
    assert ended.failure is not None
    assert ended.failure.reason == reason
    assert "secret" not in ended.failure.message
    assert shop.models.aliases("banking").records == []


async def test_a_cancel_that_comes_too_late_keeps_the_alias(folder: Path, tmp_path: Path) -> None:
    """A job that published before its cancellation took hold is SUCCEEDED in truth, and its alias does not move."""
    shop = Shop(folder, ScriptedEngine(hanging))

    def publish_and_hang(job_folder: Path) -> ScriptedTrainer:
        publishing(shop.models, tmp_path)(job_folder)
        (job_folder / "events.jsonl").unlink()
        return ScriptedTrainer()

    shop.engine.on_start = publish_and_hang
    async with shop.open():
        shop.table.add(job_record(1))
        await shop.trainer()
        shop.table.change(job_record(1).id, lambda job: job.cancelled(now=LATER))
        ended = await shop.until(1, "SUCCEEDED")
    assert ended.cancel_requested
    assert shop.models.aliases("banking").records == []
    assert shop.models.versions("banking") == [1]


async def test_a_base_that_has_gone_fails_its_job(folder: Path) -> None:
    """A job whose base model is no longer there when its turn comes is FAILED with that reason, and the next one runs."""
    shop = Shop(folder, ScriptedEngine(hanging), most_running=1)

    def missing(job: JobRecord) -> Assignment:
        if job.id == job_record(1).id:
            raise BaseModelNotFoundError("gone", base_model="x")
        return shop._assign(job)

    shop.assign = missing
    async with shop.open():
        shop.table.add(job_record(1))
        shop.table.add(job_record(2))
        ended = await shop.until(1, "FAILED")
        await shop.until(2, "PREPARING")
    assert ended.failure is not None
    assert ended.failure.reason == "BASE_MODEL_NOT_FOUND"


async def test_what_nobody_foresaw_ends_the_job_and_nothing_else(folder: Path) -> None:
    """An unforeseen error stops the job's trainer and fails the job as INTERNAL, without its text; the next job runs."""
    shop = Shop(folder, ScriptedEngine(hanging), most_running=1)

    def broken(_: Path) -> ScriptedTrainer:
        shop.engine.on_start = hanging
        raise ValueError("secret words")

    shop.engine.on_start = broken
    async with shop.open():
        shop.table.add(job_record(1))
        shop.table.add(job_record(2))
        ended = await shop.until(1, "FAILED")
        await shop.until(2, "PREPARING")
    assert ended.failure is not None
    assert ended.failure.reason == "INTERNAL"
    assert "secret" not in ended.failure.message


async def test_a_disk_that_is_full_delays_a_start(folder: Path) -> None:
    """A trainer that cannot be started for want of disk is tried again; the job does not fail."""
    shop = Shop(folder, ScriptedEngine(hanging))

    def full_twice(_: Path) -> ScriptedTrainer:
        if shop.engine.starts < 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return ScriptedTrainer()

    shop.engine.on_start = full_twice
    async with shop.open():
        shop.table.add(job_record(1))
        await shop.trainer()
        assert shop.table.job(job_record(1).id).state == "PREPARING"
    assert shop.engine.starts == 3


async def test_a_stop_puts_every_job_back_and_the_next_start_runs_it(folder: Path, tmp_path: Path) -> None:
    """Stopping stops each trainer and requeues its job as new; over the same table the next supervisor runs it to its end."""
    shop = Shop(folder, ScriptedEngine(hanging))
    async with shop.open():
        shop.table.add(job_record(1))
        trainer = await shop.trainer()
    assert trainer.stops > 0
    table = JobTable(Database(sqlite_url(folder / "jobs.sqlite")), lambda job: None)
    again = table.job(job_record(1).id)
    assert (again.state, again.handle, again.start_time) == ("QUEUED", None, None)
    table.close()

    shop.engine.on_start = publishing(shop.models, tmp_path)
    async with shop.open():
        await shop.until(1, "SUCCEEDED")
    assert shop.models.versions("banking") == [1]


async def test_a_job_that_goes_back_to_the_queue_is_claimed_again(folder: Path, tmp_path: Path) -> None:
    """A job found with a trainer that never said a word is started anew at once, by the same supervisor."""
    shop = Shop(folder, ScriptedEngine(hanging), most_running=1)
    shop.engine.on_start = publishing(shop.models, tmp_path)
    table = JobTable(Database(sqlite_url(folder / "jobs.sqlite")), lambda job: None)
    table.add(job_record(1))
    table.claim()
    table.change(job_record(1).id, lambda job: job.started({"number": 0}))
    table.close()

    async with shop.open():
        await shop.until(1, "SUCCEEDED")
        shop.table.add(job_record(2, promote_to=""))
        await shop.until(2, "SUCCEEDED")
    assert shop.engine.starts == 2


class SlowToLeave:
    """An attendant that puts its job back and takes its time to go; the next one of the job stays."""

    def __init__(self, shop: Shop, job: JobRecord, *, puts_back: bool) -> None:
        self.shop, self.job, self.puts_back = shop, job, puts_back
        self.epoch = job.lease.epoch
        self.is_rolling_out = False
        self.told = asyncio.Event()

    async def attend(self) -> None:
        if self.puts_back:
            self.shop.table.change(self.job.id, lambda job: job.requeued(now=LATER))
            await asyncio.sleep(0.05)
        else:
            await self.told.wait()

    def notice(self, job: JobRecord) -> None:
        if job.cancel_requested:
            self.told.set()

    def stop_service(self) -> None:
        self.told.set()


async def test_an_attendant_that_leaves_late_leaves_its_successor_alone(folder: Path) -> None:
    """A job that went back to the queue has a new attendant before the old one is gone; a cancellation reaches the new one."""
    shop = Shop(folder, ScriptedEngine(hanging))
    made: list[SlowToLeave] = []

    def make(job: JobRecord) -> SlowToLeave:
        made.append(SlowToLeave(shop, job, puts_back=not made))
        return made[-1]

    shop._attendant = make  # type: ignore[method-assign, assignment]
    async with shop.open():
        shop.table.add(job_record(1))
        await until(lambda: made[1:] or None, "the second attendant")
        await asyncio.sleep(0.1)  # the first has left
        shop.table.change(job_record(1).id, lambda job: job.cancelled(now=LATER))
        async with asyncio.timeout(1):
            await made[1].told.wait()


async def test_a_job_without_its_attendant_gets_another(folder: Path, tmp_path: Path) -> None:
    """A job that is this service's and that nobody attends, because an attendant or the answer of a claim was lost, is taken up at the next look."""
    shop = Shop(folder, ScriptedEngine(hanging))
    shop.engine.on_start = publishing(shop.models, tmp_path)
    async with shop.open():
        shop.table.add(job_record(1))
        lost = await asyncio.to_thread(shop.table.claim)  # by the service's name, and not by its supervisor
        if lost is not None:
            shop.supervisor.notice(job_record(2))  # something wakes it
        await shop.until(1, "SUCCEEDED")


async def test_no_attempt_publishes_after_its_job_has_ended(folder: Path, tmp_path: Path) -> None:
    """What ends without a version stays without one, even if a trainer that everybody holds for gone comes back to publish."""
    shop = Shop(folder, ScriptedEngine(hanging))
    async with shop.open():
        shop.table.add(job_record(1))
        trainer = await shop.trainer()
        shop.table.change(job_record(1).id, lambda job: job.cancelled(now=LATER))
        await shop.until(1, "CANCELLED")
    attempt = next(path for path, each in shop.engine.trainers.items() if each is trainer)
    with pytest.raises(VersionConflictError, match="given up"):
        publishing(shop.models, tmp_path)(attempt)


async def test_a_trainer_that_hangs_is_ended(folder: Path) -> None:
    """A trainer that says nothing for too long is ended, and its job gets another attempt until that is no use any more."""
    shop = Shop(folder, ScriptedEngine(hanging), most_silence_s=0.05)
    async with shop.open():
        shop.table.add(job_record(1))
        ended = await shop.until(1, "FAILED")
    assert (ended.reason, ended.attempt) == ("TRAINER_LOST", 3)


async def test_a_rollout_holds_no_place(folder: Path, tmp_path: Path) -> None:
    """While one job waits for its servers the next one trains; a stop of the service lets the first go at once, as it is."""
    shop = Shop(folder, ScriptedEngine(hanging), most_running=1)
    shop.engine.on_start = publishing(shop.models, tmp_path)
    async with shop.open():
        shop.table.add(job_record(1, inference_target="127.0.0.1:1"))
        await shop.until(1, "ROLLING_OUT")
        shop.table.add(job_record(2, promote_to=""))
        await shop.until(2, "SUCCEEDED")
    table = JobTable(Database(sqlite_url(folder / "jobs.sqlite")), lambda job: None, owner="another")
    released = table.claim(has_place=False)
    assert released is not None
    assert (released.id, released.state, released.attempt) == (job_record(1).id, "ROLLING_OUT", 1)
    table.close()


async def test_what_a_late_cancel_leaves_undone_is_told(folder: Path, tmp_path: Path) -> None:
    """A job that is cancelled when its version is published already is SUCCEEDED, and its error says what became of the alias."""
    shop = Shop(folder, ScriptedEngine(hanging))
    shop.engine.on_start = publishing(shop.models, tmp_path)
    async with shop.open():
        shop.table.add(job_record(1, inference_target="127.0.0.1:1"))
        await shop.until(1, "ROLLING_OUT")
        shop.table.change(job_record(1).id, lambda job: job.cancelled(now=LATER))
        ended = await shop.until(1, "SUCCEEDED")
    assert ended.failure is not None
    assert "look where banking@production points" in ended.failure.message


async def test_a_disk_that_stays_full_gives_the_job_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no trainer can be started for long the job goes back into the queue, for whoever can; the third time it fails, and says why."""
    monkeypatch.setattr(attendant_module, "START_PATIENCE_S", 0.05)

    def full(_: Path) -> ScriptedTrainer:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    shop = Shop(folder, ScriptedEngine(full))
    async with shop.open():
        shop.table.add(job_record(1))
        ended = await shop.until(1, "FAILED")
    assert (ended.reason, ended.attempt, ended.losses) == ("STORE_UNAVAILABLE", 3, 2)
