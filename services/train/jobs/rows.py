"""Between job records and rows of the tables. Pure."""

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from services.train.events import Failure, Progress
from services.train.jobs.history import JobEvent
from services.train.jobs.record import JobRecord, Lease, RolloutProgress
from services.train.spec import JobSpec


def to_row(job: JobRecord) -> dict[str, object]:
    """Write a job, but for its sequence, which the table gives."""
    return {
        "id": job.id,
        "request_id": job.request_id or None,
        "order_digest": job.order_digest,
        "model": job.spec.model,
        "task": job.spec.task,
        "spec": job.spec.model_dump_json(),
        "promote_to": job.promote_to,
        "override_reason": job.override_reason,
        "inference_target": job.inference_target,
        "version": job.version,
        "priority": job.priority,
        "most_minutes": job.most_minutes,
        "state": job.state,
        "cancel_requested": job.cancel_requested,
        "stop_requested": job.stop_requested,
        "stopped_early": job.stopped_early,
        "attempt": job.attempt,
        "losses": job.losses,
        "furthest": job.furthest,
        "most_windows": job.most_windows,
        "lease_owner": job.lease.owner,
        "lease_epoch": job.lease.epoch,
        "lease_until_s": job.lease.until_s,
        "ran_s": job.ran_s,
        "progress": job.progress and job.progress.model_dump_json(),
        "rollout_live_count": job.rollout and job.rollout.live_count,
        "rollout_address_count": job.rollout and job.rollout.address_count,
        "metrics": json.dumps(dict(job.metrics)),
        "failure": job.failure and job.failure.model_dump_json(),
        "handle": job.handle and json.dumps(dict(job.handle)),
        "create_time": job.create_time.isoformat(),
        "start_time": job.start_time and job.start_time.isoformat(),
        "end_time": job.end_time and job.end_time.isoformat(),
        "revision": job.revision,
    }


def to_record(row: sa.Row[Any]) -> JobRecord:
    """Read a job. Raises ValueError or TypeError for a row that nobody wrote so."""
    return JobRecord(
        id=row.id,
        request_id=row.request_id or "",
        order_digest=row.order_digest,
        spec=JobSpec.model_validate_json(row.spec),
        promote_to=row.promote_to,
        override_reason=row.override_reason,
        inference_target=row.inference_target,
        version=row.version,
        priority=row.priority,
        most_minutes=row.most_minutes,
        state=row.state,
        cancel_requested=row.cancel_requested,
        stop_requested=row.stop_requested,
        stopped_early=row.stopped_early,
        attempt=row.attempt,
        losses=row.losses,
        furthest=row.furthest,
        most_windows=row.most_windows,
        lease=Lease(owner=row.lease_owner, epoch=row.lease_epoch, until_s=row.lease_until_s),
        ran_s=row.ran_s,
        progress=row.progress and Progress.model_validate_json(row.progress),
        rollout=None
        if row.rollout_address_count is None
        else RolloutProgress(row.rollout_live_count, row.rollout_address_count),
        metrics=json.loads(row.metrics),
        failure=row.failure and Failure.model_validate_json(row.failure),
        handle=row.handle and json.loads(row.handle),
        create_time=datetime.fromisoformat(row.create_time),
        start_time=row.start_time and datetime.fromisoformat(row.start_time),
        end_time=row.end_time and datetime.fromisoformat(row.end_time),
        sequence=row.sequence,
        revision=row.revision,
    )


def to_event(row: sa.Row[Any]) -> JobEvent:
    """Read an entry of a job's history."""
    return JobEvent(
        kind=row.kind,
        attempt=row.attempt,
        detail=row.detail,
        time=datetime.fromisoformat(row.time),
        number=row.number,
    )


def time_of(seconds: float) -> datetime:
    """Return a time of the database's clock, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
