"""Two training services over one PostgreSQL: they share the work, hear each other's callers, and go on with what the other one has lost."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.names import VersionName
from shared.stubs.training.v1 import training_pb2 as pb
from tests.integration.train_service.harness import Service, state_of, wait_for
from tests.postgres import Server

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]
LEASE_S = 4


class Replicas:
    """Two services: one store, one database, one folder of jobs; a state folder for each."""

    def __init__(self, folder: Path, database: str) -> None:
        self.settings = {
            "database": database,
            "jobs_dir": str(folder / "jobs"),
            "lease_s": str(LEASE_S),
            "max_concurrent_jobs": "2",
        }
        self.one, self.other = (Service(folder, state=name) for name in ("one", "other"))
        for service in self.both:
            service.start(**self.settings)
        self.one.import_csv()

    @property
    def both(self) -> tuple[Service, Service]:
        return self.one, self.other

    def ran(self, job_id: str) -> list[str]:
        """Who began its attempts."""
        events = self.one_alive.training.ListTrainingJobEvents(
            pb.ListTrainingJobEventsRequest(id=job_id)
        ).events
        started = pb.TrainingJobEvent.ATTEMPT_STARTED
        return [each.detail for each in events if each.kind == started]

    @property
    def one_alive(self) -> Service:
        return next(each for each in self.both if each.process is not None and each.process.poll() is None)

    def close(self) -> None:
        for service in self.both:
            service.close()


@pytest.fixture
def replicas(postgres: Server, tmp_path: Path) -> Iterator[Replicas]:
    """Two running services."""
    pair = Replicas(tmp_path, postgres.new_database())
    yield pair
    pair.close()


def test_jobs_spread_over_replicas(replicas: Replicas) -> None:
    """Jobs that are submitted to one replica run on both, each once, and either one tells of all."""
    jobs = [replicas.one.submit("pause-training", request_id=f"n{number}") for number in range(4)]
    for job in jobs:
        replicas.one.wait_until(job.id, "TRAINING")
    owners = [replicas.ran(job.id) for job in jobs]
    assert {len(each) for each in owners} == {1}
    assert len({owner for [owner] in owners}) == 2
    assert replicas.other.submit("pause-training", request_id="n0").id == jobs[0].id
    for job in jobs:
        replicas.one.go(job.id)
    assert {state_of(replicas.other.end_of(job.id)) for job in jobs} == {"SUCCEEDED"}


def test_a_job_is_watched_stopped_and_cancelled_from_either(replicas: Replicas) -> None:
    """Whichever replica attends a job, the other one's callers see it move, stop it and cancel it within seconds."""
    jobs = [replicas.one.submit("pause-training") for _ in range(3)]
    kept = replicas.one.submit("keep")
    for service in replicas.both:
        assert state_of(service.wait_until(kept.id, "TRAINING")) == "TRAINING"
    for service in replicas.both:
        job = jobs.pop()
        service.wait_until(job.id, "TRAINING")
        started_s = time.monotonic()
        other = replicas.other if service is replicas.one else replicas.one
        other.cancel(job.id)
        assert state_of(service.end_of(job.id)) == "CANCELLED"
        assert time.monotonic() - started_s < 10
    replicas.other.training.StopTrainingJob(pb.StopTrainingJobRequest(id=kept.id))
    assert state_of(replicas.one.end_of(kept.id)) == "STOPPED"


def test_a_killed_replica_loses_nothing(replicas: Replicas) -> None:
    """The jobs of a replica that is killed with its trainers are taken up by the other one once their leases have run out."""
    jobs = [replicas.one.submit("pause-exporting", promote_to="production") for _ in range(4)]
    for job in jobs:
        replicas.one.wait_until(job.id, "EXPORTING")
    replicas.one.kill()
    for job in jobs:
        wait_for(
            lambda job=job: state_of(replicas.other.job(job.id)) in ("EXPORTING", "SUCCEEDED"),
            what="the job",
            timeout_s=60,
        )
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s and {state_of(replicas.other.job(job.id)) for job in jobs} != {
        "SUCCEEDED"
    }:
        for job in jobs:
            replicas.other.go(job.id)
        time.sleep(0.2)
    ends = [replicas.other.end_of(job.id) for job in jobs]
    assert {state_of(each) for each in ends} == {"SUCCEEDED"}
    assert sorted(each.attempt for each in ends) == [1, 1, 2, 2]
    assert len(replicas.other.models.versions("pause-exporting")) == 4


def test_a_replica_that_hung_past_its_lease_never_publishes(replicas: Replicas) -> None:
    """G3: a service and its trainer that are stopped past the lease find their job taken: the late trainer's version is refused."""
    job = replicas.one.submit("pause-exporting", promote_to="production")
    replicas.one.wait_until(job.id, "EXPORTING")
    first = max((replicas.one.jobs_dir / job.id / "attempts").iterdir())
    [owner] = replicas.ran(job.id)
    hung = next(each for each in replicas.both if each.owner == owner)
    other = replicas.other if hung is replicas.one else replicas.one
    processes = [hung.process, *hung.trainers(job.id)]
    assert len(processes) == 2
    for process in processes:
        assert process is not None
        process.send_signal(signal.SIGSTOP)
    (first / "go").touch()  # the late trainer will not wait again
    wait_for(lambda: other.job(job.id).attempt == 2, what="the other replica to begin anew", timeout_s=60)
    other.wait_until(job.id, "EXPORTING")
    for process in reversed(processes):
        assert process is not None
        process.send_signal(signal.SIGCONT)
    wait_for(
        lambda: not [each for each in processes[1:] if each is not None and each.is_running()],
        what="the late trainer to end",
        timeout_s=60,
    )
    assert other.models.versions("pause-exporting") == []
    other.go(job.id)
    assert state_of(other.end_of(job.id)) == "SUCCEEDED"
    manifest = other.models.manifest(VersionName("pause-exporting", 1))
    assert manifest.lineage.attempt == 2
    assert other.promotions("pause-exporting") == [(1, job.id)]


def test_a_database_that_restarts_is_waited_for(replicas: Replicas, postgres: Server) -> None:
    """Jobs outlive a crash of the database: what runs goes on, what waits is claimed afterwards."""
    job = replicas.one.submit("pause-training")
    replicas.one.wait_until(job.id, "TRAINING")
    postgres.stop()
    time.sleep(1)
    postgres.start()
    replicas.one.go(job.id)
    wait_for(lambda: state_of(replicas.other.job(job.id)) == "SUCCEEDED", what="the job to end", timeout_s=60)
    assert state_of(replicas.other.end_of(replicas.one.submit("succeed").id)) == "SUCCEEDED"
