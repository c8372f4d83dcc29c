"""What the training service tells, as JSON and tables show it."""

import math
from collections.abc import Mapping

from google.protobuf.message import Message

from services.cli.records import Record, told_error, told_time
from shared.stubs.training.v1 import training_pb2


def dataset_record(dataset: training_pb2.Dataset) -> Record:
    """Describe a snapshot."""
    return {
        "name": dataset.name,
        "task": training_pb2.Task.Name(dataset.task),
        "splits": {
            training_pb2.Split.Name(split.split).lower(): {
                "row_count": split.row_count,
                "out_of_scope_count": split.out_of_scope_count,
                "label_counts": dict(sorted(split.label_counts.items())),
            }
            for split in dataset.splits
        },
        "labels": list(dataset.labels),
        "create_time": told_time(dataset.create_time),
        "findings": [_finding_record(finding) for finding in dataset.findings],
        "cleaning": list(dataset.cleaning),
        "cleaning_reports": [
            {
                "step": report.step,
                "changed_count": report.changed_count,
                "dropped_count": report.dropped_count,
                "places": list(report.places),
            }
            for report in dataset.cleaning_reports
        ],
        "error": told_error(dataset),
    }


def _finding_record(finding: training_pb2.Finding) -> Record:
    return {
        "kind": training_pb2.Finding.Kind.Name(finding.kind),
        "message": finding.message,
        "count": finding.count,
        "places": list(finding.places),
    }


def plan_record(plan: training_pb2.TrainingPlan) -> Record:
    """Describe a plan."""
    texts, cost = plan.texts, plan.cost
    return {
        "spec": spec_record(plan.spec),
        "findings": [_finding_record(finding) for finding in plan.findings],
        "texts": {
            "row_count": texts.row_count,
            "window_count": texts.window_count,
            "long_row_count": texts.long_row_count,
            "median_tokens": texts.median_tokens,
            "p95_tokens": texts.p95_tokens,
            "most_tokens": texts.most_tokens,
            "unknown_token_share": texts.unknown_token_share,
            "language_shares": dict(sorted(texts.language_shares.items(), key=lambda each: -each[1])),
        },
        "cost": {
            "total_steps": cost.total_steps,
            "training_count": cost.training_count,
            "step_ms": cost.step_duration.ToMicroseconds() / 1000,
            "duration_ms": cost.duration.ToMilliseconds(),
            "peak_memory_bytes": cost.peak_memory_bytes,
        }
        if plan.HasField("cost")
        else None,
        "suspects": [
            {
                "place": each.place,
                "labels": list(each.labels),
                "suggested_labels": list(each.suggested_labels),
                "confidence": each.confidence,
                "start": each.start,
                "end": each.end,
            }
            for each in plan.suspects
        ],
        "learning_curve": _curve_record(plan.learning_curve) if plan.HasField("learning_curve") else None,
        "advice": [{"field": each.field, "value": each.value, "reason": each.reason} for each in plan.advice],
    }


def _curve_record(curve: training_pb2.LearningCurve) -> Record:
    return {
        "metric_name": curve.metric_name,
        "points": [{"row_count": each.row_count, "score": each.score} for each in curve.points],
        "train_row_count": curve.train_row_count,
        "gain": curve.gain,
        "gain_low": curve.gain_low,
        "gain_high": curve.gain_high,
        "verdict": training_pb2.LearningCurve.Verdict.Name(curve.verdict),
    }


def base_record(base: training_pb2.BaseModel) -> Record:
    """Describe a base model."""
    return {
        "id": base.id,
        "description": base.description,
        "languages": list(base.languages),
        "licence": base.licence,
        "parameter_count": base.parameter_count,
        "max_tokens": base.max_tokens,
        "layer_count": base.layer_count,
        "available": base.available,
        "digest": base.digest,
        "pooling": training_pb2.Pooling.Name(base.pooling),
        "is_default": base.is_default,
        "size_bytes": base.size_bytes,
        "tokenizer_family": base.tokenizer_family,
        "source": base.source,
        "revision": base.revision,
        "tasks": [training_pb2.Task.Name(task) for task in base.tasks],
        "limits": base.limits,
    }


def _set_fields(message: Message) -> Record:
    """Describe the fields that are set, and those within them; enum values by name."""
    described: Record = {}
    for field, value in message.ListFields():
        if isinstance(value, Mapping):
            described[field.name] = dict(value)
        elif field.message_type is not None:
            described[field.name] = _set_fields(value)
        else:
            described[field.name] = (
                value if field.enum_type is None else field.enum_type.values_by_number[value].name
            )
    return described


def spec_record(spec: training_pb2.TrainingSpec) -> Record:
    """Describe what is trained."""
    return {
        "model": spec.model,
        "dataset": spec.dataset,
        "recipe": training_pb2.Recipe.Name(spec.recipe),
        "base_model": spec.base_model,
        "adaptable": spec.adaptable,
        "seed": spec.seed,
        "hyperparameters": _set_fields(spec.hyperparameters),
        "gates": _set_fields(spec.gates),
        "measures_gain": spec.measures_gain,
        "without_golden_examples": spec.without_golden_examples,
        "search": _set_fields(spec.search),
        "continue_from": _set_fields(spec.continue_from),
    }


def job_record(job: training_pb2.TrainingJob) -> Record:
    """Describe a job."""
    progress = job.progress
    return {
        "id": job.id,
        "state": state_name(job),
        "model_version": job.model_version,
        "spec": spec_record(job.spec),
        "request_id": job.request_id,
        "promote_to": job.promote_to,
        "override_reason": job.override_reason,
        "priority": job.priority,
        "max_duration_ms": job.max_duration.ToMilliseconds() if job.HasField("max_duration") else None,
        "inference_target": job.inference_target,
        "cancel_requested": job.cancel_requested,
        "stop_requested": job.stop_requested,
        "attempt": job.attempt,
        "queue_place": _place_record(job.queue_place) if job.HasField("queue_place") else None,
        "progress": {
            "step": progress.step,
            "total_steps": progress.total_steps,
            "epoch": progress.epoch,
            "loss": progress.loss if math.isfinite(progress.loss) else None,  # JSON has no NaN
            "metric_name": progress.metric_name,
            "metric": progress.metric if progress.HasField("metric") else None,
            "best_metric": progress.best_metric if progress.HasField("best_metric") else None,
            "remaining_ms": progress.remaining_duration.ToMilliseconds(),
            "rows_per_second": progress.rows_per_second,
            "trial": progress.trial,
        },
        "rollout": {"live_count": job.rollout.live_count, "address_count": job.rollout.address_count}
        if job.HasField("rollout")
        else None,
        "metrics": dict(sorted(job.metrics.items())),
        "error": told_error(job),
        "log_tail": list(job.log_tail),
        "create_time": told_time(job.create_time),
        "start_time": told_time(job.start_time),
        "end_time": told_time(job.end_time),
        "revision": job.revision,
    }


def _place_record(place: training_pb2.QueuePlace) -> Record:
    known = place.HasField("expected_wait_duration")
    return {
        "ahead_count": place.ahead_count,
        "expected_wait_ms": place.expected_wait_duration.ToMilliseconds() if known else None,
    }


def event_record(event: training_pb2.TrainingJobEvent) -> Record:
    """Describe an entry of a job's history; a kind that this client does not know by its number."""
    known = training_pb2.TrainingJobEvent.Kind.DESCRIPTOR.values_by_number.get(event.kind)
    return {
        "number": event.number,
        "time": told_time(event.time),
        "kind": known.name if known else f"KIND_{event.kind}",
        "attempt": event.attempt,
        "detail": event.detail,
    }


def state_name(job: training_pb2.TrainingJob) -> str:
    """Name a job's state; one that this client does not know by its number."""
    known = training_pb2.TrainingJob.State.DESCRIPTOR.values_by_number.get(job.state)
    return known.name if known else f"STATE_{job.state}"
