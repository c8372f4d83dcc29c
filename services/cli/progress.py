"""How a job looks while it is followed: one bar on a terminal, elsewhere a line for each change that matters.

The place of a job that waits is asked for with each of its snapshots: snapshots do not carry it, because it changes with the other jobs.
"""

from collections.abc import Iterator

import grpc
from google.protobuf.duration_pb2 import Duration
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from services.cli.session import Session
from services.cli.training_records import state_name
from shared.stubs.training.v1 import training_pb2 as pb


def show_progress(session: Session, snapshots: Iterator[pb.TrainingJob]) -> pb.TrainingJob:
    """Show snapshots on stderr as they come, and return the last: a bar on a terminal, else a line for each change."""
    if session.as_json:
        return _last(snapshots)
    snapshots = with_places(session, snapshots)
    if not session.stderr.is_terminal:
        return _last(_lines(session, snapshots))
    columns = (TextColumn("{task.description}"), BarColumn(), _Steps(), TextColumn("{task.fields[figures]}"))
    with Progress(*columns, console=session.stderr, transient=True) as progress:
        bar = progress.add_task("QUEUED", total=None, figures="")
        for job in snapshots:
            done = job.progress
            progress.update(
                bar,
                description=f"{job.spec.model} {stage(job):<10}",
                completed=done.step,
                total=done.total_steps or None,
                figures=_figures(job, eta=job.state == pb.TrainingJob.TRAINING),
            )
    return job


def with_places(session: Session, snapshots: Iterator[pb.TrainingJob]) -> Iterator[pb.TrainingJob]:
    """Yield snapshots, those of a job that waits with its place in the queue."""
    for job in snapshots:
        yield with_place(session, job)


def with_place(session: Session, job: pb.TrainingJob) -> pb.TrainingJob:
    """Return a job that waits with its place in the queue, or as it is by now; any other as it is."""
    if job.state != pb.TrainingJob.QUEUED:
        return job
    try:
        now = session.training.GetTrainingJob(pb.GetTrainingJobRequest(id=job.id), timeout=5)
    except grpc.RpcError:
        return job  # its place is not worth an error
    return now if now.state == pb.TrainingJob.QUEUED else job  # what comes next, the next snapshot tells


def stage(job: pb.TrainingJob) -> str:
    """Say where a job stands: its state, its attempt if it is not the first, its place if it waits, its servers if it goes live."""
    parts = []
    if job.attempt > 1 and job.state != pb.TrainingJob.QUEUED:
        parts.append(f"attempt {job.attempt}")
    if job.attempt and job.state == pb.TrainingJob.QUEUED:
        parts.append(f"for attempt {job.attempt + 1}")
    if job.HasField("queue_place"):
        parts.append(_place(job.queue_place))
    if job.state == pb.TrainingJob.ROLLING_OUT and job.HasField("rollout"):
        parts.append(f"{job.rollout.live_count} of {job.rollout.address_count} live")
    return state_name(job) + (f" ({', '.join(parts)})" if parts else "")


def _place(place: pb.QueuePlace) -> str:
    ahead = f"{place.ahead_count} ahead"
    if not place.HasField("expected_wait_duration"):
        return ahead
    return f"{ahead}, about {_clock(place.expected_wait_duration)} to wait"


def _lines(session: Session, snapshots: Iterator[pb.TrainingJob]) -> Iterator[pb.TrainingJob]:
    said: tuple[int, int, int, int, float | None] | None = None
    for job in snapshots:
        done = job.progress
        news = (
            job.state,
            job.attempt,
            job.queue_place.ahead_count,
            job.rollout.live_count,
            done.metric if done.HasField("metric") else None,
        )
        if news != said:
            steps = f" step {done.step}/{done.total_steps}" if done.total_steps else ""
            session.tell(f"{job.spec.model} {stage(job)}{steps} {_figures(job, eta=False)}".rstrip())
            said = news
        yield job


def _last(snapshots: Iterator[pb.TrainingJob]) -> pb.TrainingJob:
    for job in snapshots:
        last = job
    return last


def _figures(job: pb.TrainingJob, *, eta: bool) -> str:
    done = job.progress
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
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}:{minutes:02}:{seconds % 60:02}" if hours else f"{minutes}:{seconds % 60:02}"


class _Steps(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Steps done of all, once they are known."""
        return Text(f"{int(task.completed)}/{int(task.total)}" if task.total else "")
