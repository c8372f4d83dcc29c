"""A job's snapshots, whatever happens to the connection; and how they look while they come.

A watch that breaks is begun again: every snapshot is whole, so nothing is lost. Only the first connection must succeed, so that
a wrong address is told at once.
"""

import time
from collections.abc import Iterator

import grpc
from google.protobuf.duration_pb2 import Duration
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from services.cli.session import Session
from services.cli.training_records import state_name
from shared.stubs.training.v1 import training_pb2 as pb

FINAL_STATES = frozenset(
    {pb.TrainingJob.SUCCEEDED, pb.TrainingJob.REJECTED, pb.TrainingJob.CANCELLED, pb.TrainingJob.FAILED}
)
_SILENCE_S = 120.0  # without one snapshot, after which a broken watch is given up
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 3.0


def watch_job(session: Session, job_id: str, *, silence_s: float = _SILENCE_S) -> Iterator[pb.TrainingJob]:
    """Yield snapshots of a job; the last is final. Raises grpc.RpcError."""
    request = pb.WatchTrainingJobRequest(id=job_id)
    heard_s: float | None = None
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            for job in session.training.WatchTrainingJob(request):
                heard_s, pause_s = time.monotonic(), _FIRST_PAUSE_S
                yield job
                if job.state in FINAL_STATES:
                    return
        except grpc.RpcError as error:
            broken = error.code() == grpc.StatusCode.UNAVAILABLE
            if not broken or heard_s is None or time.monotonic() - heard_s > silence_s:
                raise
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def show_progress(session: Session, snapshots: Iterator[pb.TrainingJob]) -> pb.TrainingJob:
    """Show snapshots on stderr as they come, and return the last: a bar on a terminal, else a line for each change."""
    if session.as_json:
        return _last(snapshots)
    if not session.stderr.is_terminal:
        return _last(_lines(session, snapshots))
    columns = (TextColumn("{task.description}"), BarColumn(), _Steps(), TextColumn("{task.fields[figures]}"))
    with Progress(*columns, console=session.stderr, transient=True) as progress:
        bar = progress.add_task("QUEUED", total=None, figures="")
        for job in snapshots:
            done = job.progress
            progress.update(
                bar,
                description=f"{job.spec.model} {state_name(job):<10}",
                completed=done.step,
                total=done.total_steps or None,
                figures=_figures(done, eta=job.state == pb.TrainingJob.TRAINING),
            )
    return job


def _lines(session: Session, snapshots: Iterator[pb.TrainingJob]) -> Iterator[pb.TrainingJob]:
    said: tuple[int, float | None] | None = None
    for job in snapshots:
        done = job.progress
        news = (job.state, done.metric if done.HasField("metric") else None)
        if news != said:
            steps = f" step {done.step}/{done.total_steps}" if done.total_steps else ""
            session.tell(f"{job.spec.model} {state_name(job)}{steps} {_figures(done, eta=False)}".rstrip())
            said = news
        yield job


def _last(snapshots: Iterator[pb.TrainingJob]) -> pb.TrainingJob:
    for job in snapshots:
        last = job
    return last


def _figures(done: pb.Progress, *, eta: bool) -> str:
    parts = [f"loss {done.loss:.3f}"] if done.step else []
    if done.HasField("metric"):
        parts.append(f"{done.metric_name} {done.metric:.3f}")
    if done.HasField("best_metric"):
        parts.append(f"best {done.best_metric:.3f}")
    if eta and done.HasField("remaining_duration"):
        parts.append(f"ETA {_clock(done.remaining_duration)}")
    return "  ".join(parts)


def _clock(duration: Duration) -> str:
    seconds = duration.ToSeconds()
    return f"{seconds // 60}:{seconds % 60:02}"


class _Steps(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Steps done of all, once they are known."""
        return Text(f"{int(task.completed)}/{int(task.total)}" if task.total else "")
