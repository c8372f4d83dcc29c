"""Training: between the wire and the domain. Pure functions; the only readers and writers of TrainingService's messages but the servicer."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar, get_args

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from services.train.catalogue import BaseModelEntry
from services.train.datasets import FileHeader, Imported, UnreadableDataset
from services.train.events import Failure, Progress
from services.train.jobs.history import JobEvent
from services.train.jobs.order import Knob, Order
from services.train.jobs.queue import QueuePlace
from services.train.jobs.record import JobRecord
from services.train.recipes import unused_knobs
from services.train.spec import (
    Cell,
    ClassWeights,
    JobSpec,
    Pooling,
    Precision,
    PresetName,
    QualityGates,
    RecipeName,
    Schedule,
)
from shared.data.inspection.findings import Finding
from shared.data.readers import Extras, FieldNames
from shared.data.rows import SPLIT_NAMES, SplitName
from shared.errors import FieldInvalidError, Problem
from shared.rpc.status import make_status, to_status
from shared.store.datasets import Snapshot
from shared.store.manifest import Task
from shared.stubs.training.v1 import training_pb2 as pb


def _named(literal: Any) -> dict[Any, str]:
    """Return the proto's name of each value, SQUARE_ROOT of `square-root`; enum fields take names."""
    return {value: value.upper().replace("-", "_") for value in get_args(literal)}


_TASKS: Final[dict[Task, str]] = _named(Task)
_SPLITS: Final[dict[SplitName, str]] = _named(SplitName)
_RECIPES: Final[dict[RecipeName, str]] = _named(RecipeName)
_PRESETS: Final[dict[PresetName, str]] = _named(PresetName)
_POOLINGS: Final[dict[Pooling, str]] = _named(Pooling)
_CELLS: Final[dict[Cell, str]] = _named(Cell)
_CHOICES: Final[dict[str, tuple[Any, Mapping[Any, str]]]] = {  # knobs whose values have names
    "pooling": (pb.Pooling, _POOLINGS),
    "schedule": (pb.Schedule, _named(Schedule)),
    "class_weights": (pb.ClassWeights, _named(ClassWeights)),
    "precision": (pb.Precision, _named(Precision)),
}

ValueT = TypeVar("ValueT")


async def read_parts(requests: AsyncIterator[pb.ImportDatasetRequest]) -> AsyncIterator[FileHeader | bytes]:
    """Read an upload. Raises FieldInvalidError for a message without a part."""
    async for request in requests:
        if request.HasField("header"):
            header = request.header
            yield FileHeader(
                dataset=header.dataset,
                file_name=header.file_name,
                split=_read_enum(_SPLITS, pb.Split, header.split, field="header.split"),
                server_path=header.server_path,
                task=_read_enum(_TASKS, pb.Task, header.task, field="header.task"),
                names=FieldNames(**{field.name: value for field, value in header.field_names.ListFields()}),
                extras=Extras(tuple(dict.fromkeys(header.columns)), header.out_of_scope_label),
                cleaning=frozenset(header.cleaning),
            )
        elif request.HasField("chunk"):
            yield request.chunk
        else:
            raise FieldInvalidError("An import message has neither a header nor a chunk.", field="part")


def read_job_order(request: pb.CreateTrainingJobRequest) -> Order:
    """Read what a caller wants to train, and how its job is to run. Raises as `read_order` does."""
    order = read_order(request.spec, promote_to=request.promote_to)
    limited = request.HasField("max_duration")
    return replace(
        order,
        override_reason=request.override_reason,
        priority=request.priority,
        most_minutes=request.max_duration.ToTimedelta().total_seconds() / 60 if limited else None,
    )


def read_order(spec: pb.TrainingSpec, *, promote_to: str = "") -> Order:
    """Read what a caller wants to train. Raises FieldInvalidError for an enum value that this release does not know."""
    return Order(
        model=spec.model,
        dataset=spec.dataset,
        recipe=_read_enum(_RECIPES, pb.Recipe, spec.recipe, field="spec.recipe"),
        base_model=spec.base_model,
        preset=_read_enum(_PRESETS, pb.Preset, spec.preset, field="spec.preset"),
        adaptable=spec.adaptable if spec.HasField("adaptable") else None,
        hyperparameters=_read_knobs(spec.hyperparameters),
        seed=spec.seed if spec.HasField("seed") else None,
        gates={field.name: value for field, value in spec.gates.ListFields()},
        like_version=spec.like_version,
        without_golden_examples=spec.without_golden_examples,
        measures_gain=spec.measures_gain,
        search=_read_search(spec.search) if spec.HasField("search") else None,
        continues=_read_continuation(spec.continue_from) if spec.HasField("continue_from") else {},
        promote_to=promote_to,
    )


def _read_search(message: pb.Search) -> dict[str, Any]:
    read = {field.name: value for field, value in message.ListFields() if field.name != "knobs"}
    return {**read, "knobs": tuple(message.knobs)}


def _read_continuation(message: pb.Continuation) -> dict[str, Any]:
    """Read what is set; the version always is, if only to be refused."""
    read: dict[str, Any] = {"version": message.version, "label_renames": dict(message.label_renames)}
    if message.keeps_labels:
        read["keeps_labels"] = True
    if message.HasField("replay_share"):
        read["replay_share"] = message.replay_share
    return read


def _read_knobs(message: pb.Hyperparameters) -> dict[str, Knob]:
    """Read the knobs that are set."""
    cell_field = "spec.hyperparameters.recurrent.cell"
    knobs: dict[str, Knob] = {
        each.name: value for each, value in message.ListFields() if each.message_type is None
    }
    for knob, (enum, names) in _CHOICES.items():
        knobs.pop(knob, None)
        value = _read_enum(names, enum, getattr(message, knob), field=f"spec.hyperparameters.{knob}")
        if value is not None:
            knobs[knob] = value
    if message.HasField("recurrent"):
        shape: dict[str, int | str] = {each.name: value for each, value in message.recurrent.ListFields()}
        shape.pop("cell", None)
        if (cell := _read_enum(_CELLS, pb.Cell, message.recurrent.cell, field=cell_field)) is not None:
            shape["cell"] = cell
        knobs["recurrent"] = shape
    return knobs


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


def write_dataset(snapshot: Snapshot | UnreadableDataset) -> pb.Dataset:
    """Write a snapshot's summary, its splits in the order train, validation, test; or what stands in its place."""
    if isinstance(snapshot, UnreadableDataset):
        return pb.Dataset(name=snapshot.name, error=to_status(snapshot.damage))
    return pb.Dataset(
        name=snapshot.name,
        task=_TASKS[snapshot.task],
        splits=[
            pb.SplitSummary(
                split=_SPLITS[split],
                row_count=snapshot.splits[split].row_count,
                label_counts=snapshot.splits[split].label_counts,
                out_of_scope_count=snapshot.splits[split].out_of_scope_count,
            )
            for split in SPLIT_NAMES
            if split in snapshot.splits
        ],
        labels=snapshot.labels,
        create_time=write_time(snapshot.create_time),
        cleaning=snapshot.cleaning,
    )


def write_import(imported: Imported) -> pb.Dataset:
    """Write a snapshot's summary with what is doubtful about it, and what cleaning did."""
    dataset = write_dataset(imported.snapshot)
    dataset.findings.extend(map(write_finding, imported.findings))
    dataset.cleaning_reports.extend(
        pb.CleaningReport(
            step=report.step,
            changed_count=report.changed_count,
            dropped_count=report.dropped_count,
            places=report.places,
        )
        for report in imported.reports
    )
    return dataset


def write_finding(finding: Finding) -> pb.Finding:
    """Write something doubtful."""
    return pb.Finding(
        kind=finding.kind.value, message=finding.message, count=finding.count, places=finding.places
    )


def write_base_model(entry: BaseModelEntry) -> pb.BaseModel:
    """Write an entry of the catalogue."""
    return pb.BaseModel(
        id=entry.id,
        description=entry.description,
        languages=entry.languages,
        licence=entry.licence,
        parameter_count=entry.parameter_count,
        max_tokens=entry.max_tokens,
        available=entry.folder is not None,
        digest=f"sha256:{entry.digest}" if entry.digest else "",
        pooling=_POOLINGS[entry.pooling],
        is_default=entry.is_default,
        size_bytes=entry.size_bytes,
        tokenizer_family=entry.tokenizer_family,
        source=entry.source,
        revision=entry.revision,
        tasks=list(_TASKS.values()),
        limits=entry.limits,
        layer_count=entry.layer_count,
    )


def write_time(time: datetime) -> Timestamp:
    """Write a time; `time` has a zone."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def write_spec(spec: JobSpec) -> pb.TrainingSpec:
    """Write what is trained, defaults filled in."""
    return pb.TrainingSpec(
        model=spec.model,
        dataset=spec.dataset,
        recipe=_RECIPES[spec.recipe],
        base_model=spec.base_model,
        adaptable=spec.adaptable,
        hyperparameters=_write_hyperparameters(spec),
        seed=spec.seed,
        gates=_write_gates(spec.gates),
        measures_gain=spec.measures_gain,
        without_golden_examples=spec.without_golden_examples,
        search=pb.Search(**spec.search.model_dump()) if spec.search else None,
        continue_from=pb.Continuation(**spec.continues.model_dump()) if spec.continues else None,
    )


def _write_hyperparameters(spec: JobSpec) -> pb.Hyperparameters:
    unused = unused_knobs(spec.recipe, spec.task, adaptable=spec.adaptable)
    values = spec.hyperparameters.model_dump(exclude=set(unused))
    values |= {knob: names[values[knob]] for knob, (_, names) in _CHOICES.items() if knob in values}
    if "recurrent" in values:
        values["recurrent"]["cell"] = _CELLS[values["recurrent"]["cell"]]
    return pb.Hyperparameters(**values)


def _write_gates(gates: QualityGates) -> pb.QualityGates | None:
    """Write what is asked; nothing where no gate is set."""
    if gates == QualityGates(champion=gates.champion, fewest_rows=gates.fewest_rows):
        return None if not gates.champion else pb.QualityGates(champion=gates.champion)
    return pb.QualityGates(**gates.model_dump())


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


def _read_enum(
    names: Mapping[ValueT, str], enum: EnumTypeWrapper, number: int, *, field: str
) -> ValueT | None:
    """Return the value of an enum field, None where it is unspecified."""
    if number == 0:
        return None
    for value, name in names.items():
        if enum.Value(name) == number:
            return value
    raise FieldInvalidError(f"{field} has a value that this server does not know.", field=field, value=number)
