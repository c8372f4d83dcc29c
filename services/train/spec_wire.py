"""Training: specs and orders between the wire and the domain. Pure functions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar, get_args

from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from services.train.jobs.order import Knob, Order
from services.train.jobs.retraining import Promote, Retraining
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
from shared.errors import FieldInvalidError
from shared.store.manifest import Task
from shared.stubs.training.v1 import training_pb2 as pb


def named(literal: Any) -> dict[Any, str]:
    """Return the proto's name of each value, SQUARE_ROOT of `square-root`; enum fields take names."""
    return {value: value.upper().replace("-", "_") for value in get_args(literal)}


TASKS: Final[dict[Task, str]] = named(Task)


_RECIPES: Final[dict[RecipeName, str]] = named(RecipeName)


_PRESETS: Final[dict[PresetName, str]] = named(PresetName)


POOLINGS: Final[dict[Pooling, str]] = named(Pooling)


_PROMOTIONS: Final[dict[Promote, str]] = named(Promote)
_CELLS: Final[dict[Cell, str]] = named(Cell)


_CHOICES: Final[dict[str, tuple[Any, Mapping[Any, str]]]] = {  # knobs whose values have names
    "pooling": (pb.Pooling, POOLINGS),
    "schedule": (pb.Schedule, named(Schedule)),
    "class_weights": (pb.ClassWeights, named(ClassWeights)),
    "precision": (pb.Precision, named(Precision)),
}


_MOST_SECONDS: Final = 315_576_000_000  # of google.protobuf.Duration
_NANOS: Final = 1_000_000_000
ValueT = TypeVar("ValueT")


def read_job_order(request: pb.CreateTrainingJobRequest) -> Order:
    """Read what a caller wants to train, and how its job is to run. Raises as `read_order` does."""
    order = read_order(request.spec, promote_to=request.promote_to)
    return replace(
        order,
        override_reason=request.override_reason,
        priority=request.priority,
        inference_target=request.inference_target,
        most_minutes=_read_minutes(request),
    )


def read_retraining(request: pb.RetrainModelRequest) -> Retraining:
    """Read what a caller wants to train anew. Raises FieldInvalidError for an enum value that this release does not know."""
    promote = read_enum(_PROMOTIONS, pb.RetrainModelRequest.Promote, request.promote, field="promote")
    return Retraining(
        model=request.model,
        dataset=request.dataset,
        alias=request.alias or "production",
        continues=request.continues,
        promote=promote or "if-gates-pass",
        override_reason=request.override_reason,
        gates={field.name: value for field, value in request.gates.ListFields()},
        inference_target=request.inference_target,
        priority=request.priority,
        most_minutes=_read_minutes(request),
    )


def _read_minutes(request: pb.CreateTrainingJobRequest | pb.RetrainModelRequest) -> float | None:
    """Read max_duration, None where it is not set. Raises FieldInvalidError for one that is none."""
    if not request.HasField("max_duration"):
        return None
    duration = request.max_duration
    if not (0 <= duration.seconds <= _MOST_SECONDS and 0 <= duration.nanos < _NANOS):
        raise FieldInvalidError(
            "max_duration is not within 0 and 10,000 years.", field="max_duration", value=duration.seconds
        )
    return (duration.seconds + duration.nanos / _NANOS) / 60


def read_order(spec: pb.TrainingSpec, *, promote_to: str = "") -> Order:
    """Read what a caller wants to train. Raises FieldInvalidError for an enum value that this release does not know."""
    return Order(
        model=spec.model,
        dataset=spec.dataset,
        recipe=read_enum(_RECIPES, pb.Recipe, spec.recipe, field="spec.recipe"),
        base_model=spec.base_model,
        preset=read_enum(_PRESETS, pb.Preset, spec.preset, field="spec.preset"),
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
        value = read_enum(names, enum, getattr(message, knob), field=f"spec.hyperparameters.{knob}")
        if value is not None:
            knobs[knob] = value
    if message.HasField("recurrent"):
        shape: dict[str, int | str] = {each.name: value for each, value in message.recurrent.ListFields()}
        shape.pop("cell", None)
        if (cell := read_enum(_CELLS, pb.Cell, message.recurrent.cell, field=cell_field)) is not None:
            shape["cell"] = cell
        knobs["recurrent"] = shape
    return knobs


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


def read_enum(
    names: Mapping[ValueT, str], enum: EnumTypeWrapper, number: int, *, field: str
) -> ValueT | None:
    """Return the value of an enum field, None where it is unspecified."""
    if number == 0:
        return None
    for value, name in names.items():
        if enum.Value(name) == number:
            return value
    raise FieldInvalidError(f"{field} has a value that this server does not know.", field=field, value=number)
