"""A job's snapshots, whatever happens to the connection.

A watch that breaks is begun again after the last snapshot that came: every snapshot is whole, so nothing is lost. Only the first connection must
succeed, so that a wrong address is told at once.
"""

import time
from collections.abc import Iterator

import grpc

from services.cli.session import Session
from shared.stubs.training.v1 import training_pb2 as pb

FINAL_STATES = frozenset(
    {
        pb.TrainingJob.SUCCEEDED,
        pb.TrainingJob.REJECTED,
        pb.TrainingJob.STOPPED,
        pb.TrainingJob.CANCELLED,
        pb.TrainingJob.FAILED,
    }
)
PUBLISHED_STATES = frozenset({pb.TrainingJob.SUCCEEDED, pb.TrainingJob.STOPPED})
SILENCE_S = 120.0  # without a sign of life, after which a broken stream is given up
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 3.0


def watch_job(session: Session, job_id: str, *, silence_s: float = SILENCE_S) -> Iterator[pb.TrainingJob]:
    """Yield snapshots of a job; the last is final. Raises grpc.RpcError."""
    seen = 0
    heard_s: float | None = None
    pause_s = FIRST_PAUSE_S
    while True:
        request = pb.WatchTrainingJobRequest(id=job_id, after_revision=seen)
        try:
            for job in session.training.WatchTrainingJob(request):
                heard_s, pause_s, seen = time.monotonic(), FIRST_PAUSE_S, job.revision
                yield job
                if job.state in FINAL_STATES:
                    return
        except grpc.RpcError as error:
            broken = error.code() == grpc.StatusCode.UNAVAILABLE
            if not broken or heard_s is None or time.monotonic() - heard_s > silence_s:
                raise
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
