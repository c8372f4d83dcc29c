"""What `--json` prints: plain records of the protos' messages, field by field. Scripts depend on every name here. Pure.

Times are ISO 8601 in UTC or null; enum values have the protos' names; numbers are numbers (the protos' own JSON would make
strings of 64-bit ones).
"""

import math
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.cli.failures import error_record
from shared.rpc.status import read_status
from shared.stubs.inference.v1 import inference_pb2
from shared.stubs.registry.v1 import registry_pb2
from shared.stubs.training.v1 import training_pb2

Record = dict[str, Any]
MayFail = training_pb2.TrainingJob | training_pb2.Dataset | registry_pb2.Model | registry_pb2.ModelVersion


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
        "create_time": _time(dataset.create_time),
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
        "error": _error(dataset),
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
        "advice": [{"field": each.field, "value": each.value, "reason": each.reason} for each in plan.advice],
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
        "cancel_requested": job.cancel_requested,
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
        "metrics": dict(sorted(job.metrics.items())),
        "error": _error(job),
        "create_time": _time(job.create_time),
        "start_time": _time(job.start_time),
        "end_time": _time(job.end_time),
        "revision": job.revision,
    }


def state_name(job: training_pb2.TrainingJob) -> str:
    """Name a job's state; one that this client does not know by its number."""
    known = training_pb2.TrainingJob.State.DESCRIPTOR.values_by_number.get(job.state)
    return known.name if known else f"STATE_{job.state}"


def model_record(model: registry_pb2.Model) -> Record:
    """Describe a model."""
    return {
        "name": model.name,
        "latest_version": model.latest_version,
        "aliases": {alias.alias: alias.version for alias in model.aliases},
        "error": _error(model),
    }


def version_record(version: registry_pb2.ModelVersion) -> Record:
    """Describe a version."""
    return {
        "name": version.name,
        "state": registry_pb2.ModelVersion.State.Name(version.state),
        "task": version.task,
        "aliases": list(version.aliases),
        "labels": list(version.labels),
        "metrics": dict(sorted(version.metrics.items())),
        "row_counts": dict(sorted(version.row_counts.items())),
        "job": version.job,
        "base_model": version.base_model,
        "adaptable": version.adaptable,
        "dataset": version.dataset,
        "size_bytes": version.size_bytes,
        "gate_checks": [
            {
                "name": check.name,
                "variant": check.variant,
                "passed": check.passed,
                "measured": check.measured,
                "limit": check.limit,
                "detail": check.detail,
            }
            for check in version.gate_checks
        ],
        "quality_checks": [
            {
                "name": check.name,
                "passed": check.passed,
                "measured": check.measured,
                "limit": check.limit,
                "detail": check.detail,
            }
            for check in version.quality_checks
        ],
        "variants": {
            variant.name: {
                "graph_bytes": variant.graph_bytes,
                "metrics": dict(sorted(variant.metrics.items())),
            }
            for variant in version.variants
        },
        "create_time": _time(version.create_time),
        "error": _error(version),
    }


def alias_record(alias: registry_pb2.Alias) -> Record:
    """Describe where an alias points."""
    return {
        "model": alias.model,
        "alias": alias.alias,
        "version": alias.version,
        "previous_version": alias.previous_version,
        "actor": alias.actor,
        "reason": alias.reason,
        "move_time": _time(alias.move_time),
        "sequence": alias.sequence,
    }


def classification_record(text: str, version: str, result: inference_pb2.ClassifyResult) -> Record:
    """Describe the answer to one text."""
    if result.HasField("error"):
        return {"text": text, "model_version": version, **error_record(read_status(result.error))}
    return {
        "text": text,
        "model_version": version,
        "labels": [
            {"label": each.label, "score": _score(each.score), "is_given": each.is_given}
            for each in result.classification.labels
        ],
    }


def extraction_record(text: str, version: str, result: inference_pb2.ExtractEntitiesResult) -> Record:
    """Describe the answer to one text; offsets in code points."""
    if result.HasField("error"):
        return {"text": text, "model_version": version, **error_record(read_status(result.error))}
    return {
        "text": text,
        "model_version": version,
        "entities": [
            {
                "start": each.start,
                "end": each.end,
                "label": each.label,
                "surface": each.surface,
                "score": _score(each.score),
            }
            for each in result.entities.entities
        ],
    }


def _score(score: float) -> float:
    return round(score, 6)  # a float32 has no more to say


def _error(message: MayFail) -> Record | None:
    return dict(error_record(read_status(message.error))["error"]) if message.HasField("error") else None


def _time(time: Timestamp) -> str | None:
    return time.ToJsonString() if time.seconds or time.nanos else None
