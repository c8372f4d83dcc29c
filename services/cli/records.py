"""What `--json` prints: plain records of the protos' messages, field by field. Scripts depend on every name here. Pure.

Times are ISO 8601 in UTC or null; enum values have the protos' names; numbers are numbers (the protos' own JSON would make
strings of 64-bit ones).
"""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from services.cli.failures import error_record
from shared.rpc.status import read_status
from shared.stubs.inference.v1 import inference_pb2
from shared.stubs.registry.v1 import registry_pb2
from shared.stubs.training.v1 import training_pb2

Record = dict[str, Any]
MayFail = training_pb2.TrainingJob | training_pb2.Dataset | registry_pb2.Model | registry_pb2.ModelVersion


def model_record(model: registry_pb2.Model) -> Record:
    """Describe a model."""
    return {
        "name": model.name,
        "latest_version": model.latest_version,
        "aliases": {alias.alias: alias.version for alias in model.aliases},
        "error": told_error(model),
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
        "out_of_scope_counts": dict(sorted(version.out_of_scope_counts.items())),
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
                "measured": check.measured if check.HasField("measured") else None,
                "limit": check.limit,
                "unit": check.unit,
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
        "create_time": told_time(version.create_time),
        "error": told_error(version),
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
        "move_time": told_time(alias.move_time),
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


def told_error(message: MayFail) -> Record | None:
    return dict(error_record(read_status(message.error))["error"]) if message.HasField("error") else None


def told_time(time: Timestamp) -> str | None:
    return time.ToJsonString() if time.seconds or time.nanos else None
