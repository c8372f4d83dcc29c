"""What a killed and restarted service makes of the jobs that it finds."""

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
    pausing: dict[str, pb.TrainingJob]  # one in each phase, their trainers alive
    trainers_before: set[psutil.Process]
    states_after: dict[str, str]  # of the pausing ones, at the first look
    finished_alone: pb.TrainingJob
    died_alone: pb.TrainingJob
    left_a_child: pb.TrainingJob
    was_cancelled: pb.TrainingJob


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Kill a service, do to its trainers what can happen while none runs, start the next one."""
    service = Service(tmp_path_factory.mktemp("aftermath"))
    try:
        service.start(max_concurrent_jobs="16")
        service.import_csv()
        pausing = {
            phase: service.submit(f"pause-{phase.lower()}", promote_to="production", request_id=phase)
            for phase in PHASES
        }
        finished_alone = service.submit("pause-publishing", promote_to="staging")
        died_alone = service.submit("pause-exporting", promote_to="staging")
        left_a_child, was_cancelled = service.submit("stubborn"), service.submit("stubborn")
        for phase, job in (*pausing.items(), ("PUBLISHING", finished_alone), ("EXPORTING", died_alone)):
            service.wait_until(job.id, phase)
            wait_for((service.job_folder(job.id) / "events.jsonl").exists, what="the trainer's first word")
        for job in (left_a_child, was_cancelled):
            wait_for((service.job_folder(job.id) / "pids").exists, what="the trainer to start its child")

        service.cancel(was_cancelled.id)
        service.kill()
        service.go(finished_alone.id)
        wait_for(lambda: not service.trainers(finished_alone.id), what="the trainer to end alone")
        service.trainers(died_alone.id)[0].kill()
        leader_pid = int((service.job_folder(left_a_child.id) / "pids").read_text().split()[0])
        psutil.Process(leader_pid).kill()
        wait_for(lambda: len(service.trainers(left_a_child.id)) == 1, what="the trainer to be gone")
        trainers_before = {each for job in pausing.values() for each in service.trainers(job.id)}
        assert len(trainers_before) == len(PHASES)

        service.start(max_concurrent_jobs="16")
        states_after = {phase: state_of(service.job(job.id)) for phase, job in pausing.items()}
        yield Aftermath(
            service,
            pausing,
            trainers_before,
            states_after,
            finished_alone,
            died_alone,
            left_a_child,
            was_cancelled,
        )
    finally:
        service.close()


@pytest.mark.parametrize("phase", PHASES)
def test_a_killed_service_finds_its_trainer_again(aftermath: Aftermath, phase: str) -> None:
    """In whatever phase the service was killed, the next one adopts the living trainer, follows it to the end and promotes once."""
    service, job = aftermath.service, aftermath.pausing[phase]
    assert aftermath.states_after[phase] == phase
    [trainer] = service.trainers(job.id)
    assert trainer in aftermath.trainers_before
    service.go(job.id)

    assert state_of(service.end_of(job.id)) == "SUCCEEDED"
    assert service.promotions(job.spec.model) == [(1, job.id)]
    assert service.submit(job.spec.model, promote_to="production", request_id=phase).id == job.id


def test_a_trainer_that_finished_alone_is_recorded(aftermath: Aftermath) -> None:
    """A job whose trainer published while no service ran ends SUCCEEDED at the next start, its alias moved."""
    job = aftermath.finished_alone
    assert state_of(aftermath.service.end_of(job.id)) == "SUCCEEDED"
    assert aftermath.service.promotions("pause-publishing", "staging") == [(2, job.id)]


def test_a_trainer_that_died_alone_is_closed(aftermath: Aftermath) -> None:
    """A job whose trainer died while no service ran is closed as TRAINER_LOST at the next start; its alias stays."""
    end = aftermath.service.end_of(aftermath.died_alone.id)
    assert state_of(end) == "FAILED"
    assert "while no service watched it" in end.error.message
    assert "staging" not in [
        each.alias for each in aftermath.service.models.aliases("pause-exporting").records
    ]


def test_what_a_dead_trainer_left_behind_is_ended(aftermath: Aftermath) -> None:
    """A child that outlived its trainer and the service is ended before the next service closes the job."""
    assert state_of(aftermath.service.end_of(aftermath.left_a_child.id)) == "FAILED"
    assert not aftermath.service.trainers(aftermath.left_a_child.id)


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
