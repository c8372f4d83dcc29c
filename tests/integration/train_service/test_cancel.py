"""Cancelling: what a caller is promised, and what is left of the trainer."""

import time

import psutil

from services.train.spec import SCRATCH
from shared.stubs.training.v1 import training_pb2 as pb
from tests.integration.train_service.harness import Service, refused, state_of, wait_for


def stubborn_job(service: Service) -> tuple[pb.TrainingJob, list[psutil.Process]]:
    """A running job whose trainer and the trainer's child ignore SIGTERM, with both processes."""
    job = service.submit("stubborn", promote_to="production")
    service.wait_until(job.id, "TRAINING")
    pids = service.attempt_folder(job.id) / "pids"
    wait_for(pids.exists, what="the trainer to start its child")
    return job, [psutil.Process(int(pid)) for pid in pids.read_text().split()]


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run: not gone, and no mere entry that init has yet to strike off."""
    return [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def test_cancel_leaves_no_process_after_five_seconds(service: Service) -> None:
    """Cancel leaves no process after five seconds: a trainer that ignores SIGTERM is killed, and so is the child it started.

    At the moment at which a watch says CANCELLED none of them lives, and of the trainer's files only those for people are left.
    """
    job, processes = stubborn_job(service)
    assert len(living(processes)) == 2
    scratch = service.attempt_folder(job.id) / SCRATCH
    assert list(scratch.iterdir())

    started_s = time.monotonic()
    assert service.cancel(job.id).cancel_requested
    for snapshot in service.watch(job.id):
        if state_of(snapshot) == "CANCELLED":
            assert not living(processes)
            assert not scratch.exists()
    assert time.monotonic() - started_s < 5
    assert state_of(service.job(job.id)) == "CANCELLED"
    assert service.models.models().count("stubborn") == 1  # the reservation, and no version
    assert service.models.versions("stubborn") == []


def test_cancel_of_a_job_in_training(service: Service) -> None:
    """A running job ends CANCELLED well within five seconds; cancelling it again is OK."""
    job = service.submit("pause-training")
    service.wait_until(job.id, "TRAINING")
    started_s = time.monotonic()
    service.cancel(job.id)
    assert state_of(service.end_of(job.id)) == "CANCELLED"
    assert time.monotonic() - started_s < 3
    assert state_of(service.cancel(job.id)) == "CANCELLED"


def test_cancel_right_after_submit(service: Service) -> None:
    """Wherever between submission and training a cancellation meets a job, the job ends CANCELLED."""
    jobs = [service.submit("pause-training") for _ in range(4)]
    for job, pause_s in zip(jobs, (0.0, 0.02, 0.1, 0.3), strict=True):
        time.sleep(pause_s)
        service.cancel(job.id)
    assert [state_of(service.end_of(job.id)) for job in jobs] == ["CANCELLED"] * 4


def test_cancel_of_a_job_that_waits_is_immediate(own_service: Service) -> None:
    """A job that waits its turn is CANCELLED in the answer itself, never runs, and the next one takes its place."""
    running = own_service.submit("pause-training")
    waiting = own_service.submit("succeed-second")
    third = own_service.submit("succeed-third")
    own_service.wait_until(running.id, "TRAINING")

    assert state_of(own_service.cancel(waiting.id)) == "CANCELLED"
    own_service.go(running.id)
    assert state_of(own_service.end_of(running.id)) == "SUCCEEDED"
    assert state_of(own_service.end_of(third.id)) == "SUCCEEDED"
    assert not own_service.job_folder(waiting.id).exists()


def test_cancel_of_an_ended_job_is_refused(service: Service) -> None:
    """A job that ended otherwise answers FAILED_PRECONDITION with its state and stays as it is."""
    job = service.submit("succeed-uncancelled")
    service.end_of(job.id)
    with refused("FAILED_PRECONDITION", "JOB_ALREADY_FINISHED") as refusal:
        service.cancel(job.id)
    assert refusal.why.metadata == {"job": job.id, "state": "SUCCEEDED"}
    assert not service.job(job.id).cancel_requested
