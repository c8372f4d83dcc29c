"""Jobs, services, trainers and the store as hypothesis mixes them up: crashes, leases that run out, late trainers, on a virtual clock.

The table, the model store and every decision are the real ones; what is played is when a service or a trainer does its next step, and that
services and trainers may stop at any point, come back late, or never.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from services.train.engines.port import UNWATCHED, Exit
from services.train.events import Failed, Failure, Finished, PhaseStarted, Stopped, TrainerEvent
from services.train.jobs.database import sqlite_url
from services.train.jobs.ending import TrainerEnd, after_trainer
from services.train.jobs.publication import Publication
from services.train.jobs.record import JobRecord
from services.train.jobs.table import JobTable, LeaseLostError
from shared.errors import JobAlreadyFinishedError, VersionConflictError
from shared.names import VersionName
from shared.store.manifest import Manifest
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.contract.jobs.worlds import LEASE_S, VirtualClock, World
from tests.postgres import Server
from tests.tiny import tiny_manifest
from tests.unit.train.jobs.records import PROGRESS, job_record

_SERVICES = ("a", "b")
_MOST_JOBS = 3  # more of them only dilute what happens to each
_LOST = Exit(signal="SIGKILL")


@dataclass
class Trainer:
    """A trainer process, which may live on after its service."""

    job_id: str
    attempt: int
    step: int = 0
    last_word: TrainerEvent | None = None
    exit: Exit | None = None


@dataclass
class Service:
    """What a service process has in its memory; it goes with a crash, the trainers' processes do not."""

    table: JobTable
    attends: dict[str, int] = field(default_factory=dict)  # epoch by job
    trainers: dict[str, Trainer] = field(default_factory=dict)  # by job


class JobsUnderAttack(RuleBasedStateMachine):
    """See the module."""

    url: Callable[[], str]
    template: Manifest
    paths: dict[str, Path]

    jobs = Bundle("jobs")
    trainers = Bundle("trainers")

    @initialize()
    def begin(self) -> None:
        self.clock = VirtualClock()
        self.world = World(type(self).url())
        self.models = ModelStore(MemoryStore())
        self.publication = Publication(self.models)
        for path in self.paths.values():
            self.models.put_file(path)
        self.services = {name: Service(self.open(name)) for name in _SERVICES}
        self.acknowledged: dict[str, str] = {}  # job by request
        self.ends: dict[str, JobRecord] = {}
        self.published: dict[str, Manifest] = {}
        self.given_up: dict[str, int] = {}  # attempts of a job that may publish nothing new, by the job
        self.folders: dict[tuple[str, int], str] = {}  # who made the folder of an attempt
        self.count = 0

    def open(self, name: str) -> JobTable:
        return self.world.open(name, clock=self.clock)

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now_s, UTC)

    # What callers do.

    @rule(
        target=jobs,
        request=st.sampled_from("uvwxyz"),
        service=st.sampled_from(_SERVICES),
        priority=st.integers(-2, 2),
    )
    def submit(self, request: str, service: str, priority: int) -> str:
        self.count += 1
        table = self.services[service].table
        known = table.find_request(request)
        job = job_record(self.count, request_id=request, promote_to="", priority=priority)
        version = known.version if known else str(self.models.reserve("banking", job.id))
        added = table.add(replace(job, version=version))
        assert self.acknowledged.setdefault(request, added.id) == added.id  # G2
        return added.id

    @rule(job=jobs, service=st.sampled_from(_SERVICES), stop=st.booleans())
    def call_off(self, job: str, service: str, *, stop: bool) -> None:
        change = JobRecord.stopped if stop else JobRecord.cancelled
        try:
            self.services[service].table.change(job, lambda record: change(record, now=self.now))
        except JobAlreadyFinishedError:
            assert self.services[service].table.job(job).is_final

    # What services do.

    @rule(service=st.sampled_from(_SERVICES))
    def renew(self, service: str) -> None:
        here = self.services[service]
        kept = {job.id for job in here.table.renew(here.attends)} if here.attends else set()
        for job in here.attends.keys() - kept:
            self.leave(here, job)

    @rule(
        target=trainers,
        service=st.sampled_from(_SERVICES),
        hangs=st.booleans(),
    )
    def work(self, service: str, *, hangs: bool) -> Trainer | None:
        """Do what comes next: listen to a trainer and settle what is over, start or adopt one, or claim a job; `hangs`: between two of these."""
        here = self.services[service]
        for trainer in list(here.trainers.values()):
            self.settle(here, trainer)
        if not here.attends:
            job = here.table.claim()
            if job is None:
                return None
            here.attends[job.id] = job.lease.epoch
            if hangs:
                return None
        waiting = sorted(here.attends.keys() - here.trainers.keys())
        return self.open_trainer(here, service, waiting[0], hangs=hangs) if waiting else None

    @rule(target=trainers, service=st.sampled_from(_SERVICES))
    def fall_silent(self, service: str) -> object:
        """A service hangs past its leases, with its trainers, and the other one goes on with what it held."""
        self.clock.now_s += LEASE_S + 1
        [other] = set(_SERVICES) - {service}
        begun = [self.work(other, hangs=False) for _ in range(4)]
        return multiple(*(trainer for trainer in begun if trainer is not None))

    def open_trainer(self, here: Service, service: str, job_id: str, *, hangs: bool) -> Trainer | None:
        job, epoch = here.table.job(job_id), here.attends[job_id]
        if job.lease.epoch != epoch:
            self.leave(here, job.id)
            return None
        if (
            job.handle is not None
        ):  # of a process that is gone, as far as the job is concerned: it dies with its service
            here.trainers[job.id] = Trainer(job.id, job.attempt, exit=UNWATCHED, step=1)
            return None
        self.publication.give_up_attempts(job)
        self.given_up[job.id] = max(self.given_up.get(job.id, 0), job.attempt - 1)
        # The folder of an attempt is one service's alone, whatever becomes of the lease while it is made.
        assert self.folders.setdefault((job.id, job.attempt), service) == service
        if hangs:
            return None
        trainer = Trainer(job.id, job.attempt)
        try:
            here.table.change(job.id, lambda record: record.started({"attempt": record.attempt}), epoch=epoch)
        except LeaseLostError:
            self.leave(here, job.id)
            return None
        here.trainers[job.id] = trainer
        return trainer

    def settle(self, here: Service, trainer: Trainer, *, service_stops: bool = False) -> None:
        epoch, table = here.attends[trainer.job_id], here.table
        heard: list[TrainerEvent] = [PhaseStarted(phase="PREPARING")]
        if trainer.step:
            heard += [PhaseStarted(phase="TRAINING"), PROGRESS.model_copy(update={"step": trainer.step})]
        if isinstance(trainer.last_word, Stopped):
            heard.append(trainer.last_word)
        try:
            job = table.change(trainer.job_id, lambda record: record.heard(heard), epoch=epoch)
            assert job.lease.epoch == epoch  # whose lease is over is not heard
            if job.cancel_requested or service_stops:
                trainer.exit = trainer.exit or Exit(signal="SIGTERM")
            if trainer.exit is None:
                return
            manifest = self.publication.last_word(job)
            self.given_up[job.id] = max(self.given_up.get(job.id, 0), job.attempt)
            word = trainer.last_word if isinstance(trainer.last_word, Failed | Finished) else None
            end = TrainerEnd(word, trainer.exit, bool(trainer.step), manifest, service_stops)
            table.change(trainer.job_id, lambda record: after_trainer(record, end, now=self.now), epoch=epoch)
        except LeaseLostError:
            pass
        self.leave(here, trainer.job_id)

    def leave(self, here: Service, job: str) -> None:
        here.attends.pop(job, None)
        here.trainers.pop(job, None)

    @rule(service=st.sampled_from(_SERVICES))
    def crash_and_restart(self, service: str) -> None:
        again = Service(self.open(service))
        again.attends = {job.id: job.lease.epoch for job in again.table.reclaim()}
        self.services[service] = again

    @rule(service=st.sampled_from(_SERVICES))
    def stop_service(self, service: str) -> None:
        here = self.services[service]
        for trainer in list(here.trainers.values()):
            self.settle(here, trainer, service_stops=True)

    @rule(seconds=st.sampled_from([1.0, LEASE_S + 1]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now_s += seconds

    # What trainers do, those too whose service is gone.

    @rule(trainer=trainers)
    def learn(self, trainer: Trainer | None) -> None:
        if trainer is not None and trainer.exit is None:
            trainer.step += 1

    @rule(trainer=trainers, early=st.booleans())
    def publish(self, trainer: Trainer | None, *, early: bool) -> None:
        """It publishes, even if its service holds it for gone: nobody has told it."""
        if trainer is None or trainer.exit not in (None, UNWATCHED):
            return
        manifest = self.manifest_of(trainer)
        before = self.published.get(trainer.job_id)
        late = trainer.attempt <= self.given_up.get(trainer.job_id, 0)
        try:
            self.models.publish(manifest)
        except VersionConflictError:
            assert late
        else:
            found = self.models.manifest(manifest.version)
            assert before is None or found == before  # G3
            assert not late or before is not None
            self.published[trainer.job_id] = found
        trainer.last_word = Stopped(step=1) if early else Finished()
        trainer.exit = Exit(code=0)

    @rule(trainer=consumes(trainers), fails=st.booleans())
    def die(self, trainer: Trainer | None, *, fails: bool) -> None:
        if trainer is None or trainer.exit is not None:
            return
        if fails:
            trainer.last_word = Failed(failure=Failure(reason="TRAINING_DIVERGED", message=""))
        trainer.exit = Exit(code=1) if fails else _LOST

    def manifest_of(self, trainer: Trainer) -> Manifest:
        record = self.services["a"].table.job(trainer.job_id)
        lineage = self.template.lineage.model_copy(
            update={"job_id": trainer.job_id, "attempt": trainer.attempt}
        )
        version = VersionName.parse(record.version)
        return self.template.model_copy(
            update={"model": "banking", "number": version.number, "lineage": lineage, "create_time": self.now}
        )

    # What holds at any time.

    @invariant()
    def nothing_acknowledged_is_lost_and_ends_are_final(self) -> None:
        table = self.services["a"].table
        for job_id in self.acknowledged.values():
            job = table.job(job_id)  # G1
            if job.is_final:
                assert job == self.ends.setdefault(job_id, job)
                published = self.publication.manifest(job) is not None  # also long afterwards
                assert (job.state in ("SUCCEEDED", "STOPPED")) == published
                assert job.lease.owner == ""

    def teardown(self) -> None:
        if not hasattr(self, "services"):
            return
        self.no_job_is_stuck()
        self.world.close()

    def no_job_is_stuck(self) -> None:
        """Whatever came before: one service that lives brings every job to its end, and what is published stays."""
        self.clock.now_s += LEASE_S + 1
        last = Service(self.open("last"))
        for _ in range(20 * len(self.acknowledged) + 20):
            job = last.table.claim()
            if job is None:
                break
            last.attends[job.id] = job.lease.epoch
            if job.handle is not None:
                last.trainers[job.id] = Trainer(job.id, job.attempt, exit=UNWATCHED, step=1)
            else:
                self.publication.give_up_attempts(job)
                trainer = last.trainers[job.id] = Trainer(job.id, job.attempt, step=1)
                if self.publication.manifest(job) is None:
                    self.models.publish(self.manifest_of(trainer))
                trainer.last_word, trainer.exit = Finished(), Exit(code=0)
            self.settle(last, last.trainers[job.id])
        assert last.table.unfinished() == []
        for job_id, manifest in self.published.items():
            assert self.models.manifest(manifest.version) == manifest
            assert last.table.job(job_id).state in ("SUCCEEDED", "STOPPED")
        for job_id in self.acknowledged.values():
            events = last.table.events(job_id)
            assert [each.number for each in events] == list(range(1, len(events) + 1))
            assert [each.kind for each in events].count("ENDED") == 1


def run(url: Callable[[], str], scratch: Path, examples: int) -> None:
    """Run the machine over databases that `url` names."""
    template, paths = tiny_manifest(scratch / "version", "classification", model="banking")
    machine = type(
        "Machine", (JobsUnderAttack,), {"url": staticmethod(url), "template": template, "paths": paths}
    )
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )


def test_g1_g2_g3_on_sqlite(tmp_path: Path) -> None:
    """G1, G2 and G3 hold, ends are final and no job is stuck, whatever happens, with jobs in SQLite."""
    folders = tempfile.TemporaryDirectory(dir=tmp_path)

    def url() -> str:
        return sqlite_url(Path(tempfile.mkdtemp(dir=folders.name)) / "jobs.sqlite")

    run(url, tmp_path, examples=60)


@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_g1_g2_g3_on_postgresql(postgres: Server, tmp_path: Path) -> None:
    """The same with jobs in PostgreSQL."""
    run(postgres.new_database, tmp_path, examples=60)
