"""Training: jobs between the wire and the domain. Pure functions."""

from datetime import datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from services.train.events import Failure, Progress
from services.train.jobs.history import JobEvent
from services.train.jobs.queue import QueuePlace
from services.train.jobs.record import JobRecord
from services.train.spec_wire import write_spec
from shared.errors import Problem
from shared.rpc.status import make_status
from shared.stubs.training.v1 import training_pb2 as pb


def write_job(job: JobRecord, place: QueuePlace | None = None) -> pb.TrainingJob:
    """Write a snapshot of a job; `place` is where it waits."""
    message = pb.TrainingJob(
        id=job.id,
        spec=write_spec(job.spec),
        request_id=job.request_id,
        promote_to=job.promote_to,
        override_reason=job.override_reason,
        state=job.state,
        cancel_requested=job.cancel_requested,
        stop_requested=job.stop_requested,
        inference_target=job.inference_target,
        rollout=None
        if job.rollout is None
        else pb.Rollout(live_count=job.rollout.live_count, address_count=job.rollout.address_count),
        priority=job.priority,
        attempt=job.attempt,
        log_tail=job.failure.log_tail if job.failure else (),
        progress=None if job.progress is None else _write_progress(job.progress),
        model_version=job.version,
        metrics=job.metrics,
        error=None if job.failure is None else _write_failure(job.failure),
        create_time=write_time(job.create_time),
        start_time=None if job.start_time is None else write_time(job.start_time),
        end_time=None if job.end_time is None else write_time(job.end_time),
        revision=job.revision,
    )
    if job.most_minutes is not None:
        message.max_duration.FromTimedelta(timedelta(minutes=job.most_minutes))
    if place is not None:
        message.queue_place.ahead_count = place.ahead_count
        if place.expected_wait_s is not None:
            message.queue_place.expected_wait_duration.FromTimedelta(timedelta(seconds=place.expected_wait_s))
    return message


def write_event(event: JobEvent) -> pb.TrainingJobEvent:
    """Write an entry of a job's history."""
    return pb.TrainingJobEvent(
        number=event.number,
        time=None if event.time is None else write_time(event.time),
        kind=event.kind,
        attempt=event.attempt,
        detail=event.detail,
    )


def _write_progress(progress: Progress) -> pb.Progress:
    message = pb.Progress(
        step=progress.step,
        total_steps=progress.total_steps,
        epoch=progress.epoch,
        loss=progress.loss,
        metric_name=progress.metric_name,
        metric=progress.metric,
        best_metric=progress.best_metric,
        rows_per_second=progress.rows_per_second,
        trial=progress.trial,
    )
    message.remaining_duration.FromMilliseconds(progress.remaining_ms)
    return message


def _write_failure(failure: Failure) -> status_pb2.Status:
    problems = tuple(Problem(each.field, each.description) for each in failure.problems)
    return make_status(failure.reason, failure.message, failure.metadata, problems=problems)


def write_time(time: datetime) -> Timestamp:
    """Write a time; `time` has a zone."""
    message = Timestamp()
    message.FromDatetime(time)
    return message
