"""What a killed and restarted service makes of the jobs that it finds."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import psutil
import pytest

from services.train.jobs.lifecycle import PHASES
from shared.stubs.training.v1 import training_pb2 as pb
from tests.integration.train_service.harness import Service, state_of, wait_for


@dataclass(frozen=True)
class Aftermath:
    """A service that was killed among running jobs, and started again."""

    service: Service
    pausing: dict[str, pb.TrainingJob]  # one in each phase
    alive_after_kill: list[psutil.Process]  # trainers that outlived their service by seconds
    published_unheard: pb.TrainingJob
    left_a_child: pb.TrainingJob
    child: psutil.Process
    was_cancelled: pb.TrainingJob


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Kill a service among its jobs, and start the next one over the same folder."""
    service = Service(tmp_path_factory.mktemp("aftermath"))
    try:
        service.start(max_concurrent_jobs="16")
        service.import_csv()
        pausing = {
            phase: service.submit(f"pause-{phase.lower()}", promote_to="production", request_id=phase)
            for phase in PHASES
        }
        published_unheard = service.submit("pause-exporting", promote_to="staging")
        left_a_child, was_cancelled = service.submit("stubborn"), service.submit("stubborn")
        for phase, job in (*pausing.items(), ("EXPORTING", published_unheard)):
            service.wait_until(job.id, phase)
        for job in (left_a_child, was_cancelled):
            service.wait_until(job.id, "TRAINING")
            wait_for((service.attempt_folder(job.id) / "pids").exists, what="the trainer to start its child")
        child = psutil.Process(int((service.attempt_folder(left_a_child.id) / "pids").read_text().split()[1]))

        service.cancel(was_cancelled.id)
        assert service.process is not None
        service.process.send_signal(signal.SIGSTOP)  # it hears nothing of what comes now
        service.go(published_unheard.id)
        wait_for(
            lambda: (
                "pause-exporting" in service.models.models()
                and 2 in service.models.versions("pause-exporting")
            ),
            what="the trainer to publish",
        )
        service.kill()
        _, alive = psutil.wait_procs(
            [each for job in pausing.values() for each in service.trainers(job.id)], timeout=5
        )

        service.start(max_concurrent_jobs="16")
        yield Aftermath(service, pausing, alive, published_unheard, left_a_child, child, was_cancelled)
    finally:
        service.close()


def test_trainers_die_with_their_service(aftermath: Aftermath) -> None:
    """A trainer ends when its service is killed, whatever it was doing."""
    assert aftermath.alive_after_kill == []


@pytest.mark.parametrize("phase", PHASES)
def test_a_job_goes_on_after_a_kill(aftermath: Aftermath, phase: str) -> None:
    """In whatever phase the service was killed, the next one takes the job up with another attempt, follows it to the end and promotes once."""
    service, job = aftermath.service, aftermath.pausing[phase]
    second = service.job_folder(job.id) / "attempts" / "0002" / "events.jsonl"
    wait_for(second.exists, what="the second attempt's trainer")
    assert service.wait_until(job.id, phase).attempt == 2
    service.go(job.id)

    assert state_of(service.end_of(job.id)) == "SUCCEEDED"
    assert service.promotions(job.spec.model) == [(1, job.id)]
    assert service.submit(job.spec.model, promote_to="production", request_id=phase).id == job.id


def test_what_was_published_unheard_is_recorded(aftermath: Aftermath) -> None:
    """A job whose trainer published while its service heard nothing ends SUCCEEDED at the next start, its alias moved, without another attempt."""
    end = aftermath.service.end_of(aftermath.published_unheard.id)
    assert (state_of(end), end.attempt) == ("SUCCEEDED", 1)
    assert aftermath.service.promotions("pause-exporting", "staging") == [(2, end.id)]


def test_what_a_dead_trainer_left_behind_is_ended(aftermath: Aftermath) -> None:
    """A child that outlived its trainer and the service is ended before the job's next attempt begins."""
    service, job = aftermath.service, aftermath.left_a_child
    wait_for(lambda: service.job(job.id).attempt == 2, what="the second attempt")
    service.wait_until(job.id, "TRAINING")
    assert not aftermath.child.is_running() or aftermath.child.status() == psutil.STATUS_ZOMBIE
    service.cancel(job.id)
    assert state_of(service.end_of(job.id)) == "CANCELLED"
    assert not service.trainers(job.id)


def test_a_cancel_survives_a_kill(aftermath: Aftermath) -> None:
    """A cancellation that was acknowledged right before the service was killed is carried out by the next one."""
    assert state_of(aftermath.service.end_of(aftermath.was_cancelled.id)) == "CANCELLED"
    assert not aftermath.service.trainers(aftermath.was_cancelled.id)


def test_g1_an_acknowledged_submit_is_never_lost(own_service: Service) -> None:
    """G1: every submit that was answered before a kill -9 in the middle of a burst is there after the restart, and runs."""
    process = own_service.process
    assert process is not None

    def submit(number: int) -> pb.TrainingJob | None:
        if number == 12:
            process.kill()
            return None
        try:
            return own_service.submit("succeed", request_id=f"burst {number}")
        except grpc.RpcError:
            return None  # not acknowledged

    with ThreadPoolExecutor(4) as pool:
        acknowledged = [job for job in pool.map(submit, range(24)) if job is not None]
    assert 8 <= len(acknowledged) < 23
    process.wait(10)

    own_service.start(max_concurrent_jobs="4")
    for number, job in enumerate(acknowledged):
        found = own_service.job(job.id)
        assert (found.model_version, found.request_id) == (job.model_version, job.request_id), number
    assert state_of(own_service.end_of(acknowledged[0].id)) == "SUCCEEDED"
