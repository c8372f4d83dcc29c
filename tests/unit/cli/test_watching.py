"""Watching a job through broken connections."""

import grpc
import pytest

from services.cli.failures import CommandError
from services.cli.jobs import follow_job
from services.cli.progress import show_progress
from services.cli.watching import watch_job
from shared.rpc.status import make_status
from shared.stubs.training.v1 import training_pb2 as pb
from shared.stubs.training.v1.training_pb2_grpc import TrainingServiceServicer
from tests.unit.cli.servers import refuse, serving

QUEUED, TRAINING, SUCCEEDED = pb.TrainingJob.QUEUED, pb.TrainingJob.TRAINING, pb.TrainingJob.SUCCEEDED


class Watched(TrainingServiceServicer):
    """Plays one script for each connection: states, and how the connection ends."""

    def __init__(self, *scripts, unmoved=False):
        self.scripts = list(scripts)
        self.unmoved = unmoved
        self.asked_after = []
        self.revision = 0

    def GetTrainingJob(self, request, context):
        job = pb.TrainingJob(id=request.id, state=QUEUED, spec=pb.TrainingSpec(model="m"))
        job.queue_place.ahead_count = 3
        job.queue_place.expected_wait_duration.seconds = 3725
        return job

    def WatchTrainingJob(self, request, context):
        self.asked_after.append(request.after_revision)
        states, end = self.scripts.pop(0)
        for step, state in enumerate(states):
            self.revision += 1
            job = pb.TrainingJob(
                id=request.id, state=state, spec=pb.TrainingSpec(model="m"), revision=self.revision
            )
            job.progress.step, job.progress.total_steps = step, 10
            if state == SUCCEEDED and self.unmoved:
                job.error.CopyFrom(make_status("ALIAS_CONFLICT", "the alias moved", {}))
            yield job
        if end:
            refuse(context, end)


def states(session):
    return [job.state for job in watch_job(session, "job-1")]


def test_a_broken_watch_is_begun_again():
    """A restart of the service in the middle of a job costs the watcher nothing but the pause."""
    service = Watched(
        ([QUEUED, TRAINING], "SERVER_DRAINING"), ([], "SERVER_DRAINING"), ([TRAINING, SUCCEEDED], None)
    )
    with serving(training=service) as session:
        assert states(session) == [QUEUED, TRAINING, TRAINING, SUCCEEDED]
    assert service.scripts == []
    assert service.asked_after == [0, 2, 2]  # what was seen is not asked for again


def test_a_stream_that_ends_before_the_job_is_begun_again():
    """Only a final state ends a watch."""
    with serving(training=Watched(([pb.TrainingJob.STOPPED], None))) as session:
        assert states(session) == [pb.TrainingJob.STOPPED]
    with serving(training=Watched(([TRAINING], None), ([SUCCEEDED], None))) as session:
        assert states(session) == [TRAINING, SUCCEEDED]


def test_the_first_connection_must_succeed():
    """A service that is not there is told at once."""
    with serving(training=Watched(([], "SERVER_DRAINING"))) as session, pytest.raises(grpc.RpcError):
        states(session)


def test_other_errors_end_the_watch():
    """An error that a new connection cannot mend is raised."""
    service = Watched(([TRAINING], "JOB_NOT_FOUND"))
    with serving(training=service) as session, pytest.raises(grpc.RpcError) as caught:
        states(session)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_silence_ends_the_watch():
    """A service that stays away is given up after a while."""
    service = Watched(([TRAINING], "SERVER_DRAINING"), *[([], "SERVER_DRAINING")] * 20)
    with serving(training=service) as session, pytest.raises(grpc.RpcError):
        list(watch_job(session, "job-1", silence_s=0.3))


def test_progress_is_told_in_lines_where_there_is_no_terminal(capsys):
    """Each change of state is one line on stderr; stdout stays free for the result."""
    with serving(training=Watched(([QUEUED, TRAINING, TRAINING, SUCCEEDED], None))) as session:
        last = show_progress(session, watch_job(session, "job-1"))

    captured = capsys.readouterr()
    assert last.state == SUCCEEDED
    assert captured.err.splitlines() == [
        "m QUEUED (3 ahead, about 1:02:05 to wait)",
        "m TRAINING step 1/10 loss 0.000",
        "m SUCCEEDED step 3/10 loss 0.000",
    ]
    assert captured.out == ""


def test_an_alias_that_did_not_move_is_told(capsys):
    """A job that published and could not promote is shown as it is, and the command fails with the reason."""
    with serving(training=Watched(([SUCCEEDED], None), unmoved=True)) as session:
        session.as_json = True
        with pytest.raises(CommandError) as caught:
            follow_job(session, "job-1")
    assert caught.value.explained.reason == "ALIAS_CONFLICT"
    assert '"SUCCEEDED"' in capsys.readouterr().out
