"""From what a caller orders to a job in the table: defaults, checks, the fixed snapshot, the reserved version.

Invariants: one request_id, one job, which the table's unique column decides; one model, one task. The lock around a submission keeps
losers of a race from reserving version numbers that nobody will use, and two jobs of different tasks from both being a model's first.

Blocks; any thread may call.
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from services.train.catalogue import DEFAULT_BASE_MODEL, BaseModelEntry, Catalogue
from services.train.jobs.record import JobRecord
from services.train.jobs.table import JobTable
from services.train.recipes import (
    DEFAULT_SEED,
    RECIPES,
    TASKS,
    default_hyperparameters,
    epochs_for,
    unused_knobs,
)
from services.train.spec import FROM_SCRATCH, Hyperparameters, JobSpec, QualityGates, RecipeName
from shared.errors import (
    ArtifactCorruptError,
    FieldInvalidError,
    ModelNotFoundError,
    ModelNotLoadableError,
    Problem,
    RequestIdReusedError,
    SpecInvalidError,
)
from shared.names import DatasetName, VersionName, check_id, new_job_id, parse_reference
from shared.store.datasets import DatasetStore, Snapshot
from shared.store.manifest import Task
from shared.store.models import ModelStore

_MOST_REQUEST_ID_CHARACTERS: Final = 128
_MOST_REASON_CHARACTERS: Final = 1024
_SEEDS: Final = range(2**32)  # what every random generator takes


Knob = int | float | str | dict[str, int | str]  # the last: a knob that has knobs of its own, by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller asks for, as it was sent: what is empty or None is left to us."""

    model: str
    dataset: str
    recipe: RecipeName | None = None
    base_model: str = ""
    adaptable: bool | None = None
    hyperparameters: Mapping[str, Knob] = field(default_factory=dict)  # those that are set
    seed: int | None = None
    gates: Mapping[str, int | float | str] = field(default_factory=dict)  # those that are set
    promote_to: str = ""
    override_reason: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the order: equal orders are repetitions, even if the newest dataset is another one by now."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


class Submission:
    """Takes orders."""

    def __init__(
        self, table: JobTable, models: ModelStore, datasets: DatasetStore, catalogue: Catalogue
    ) -> None:
        """Jobs go into `table`, their versions are reserved in `models`."""
        self._table = table
        self._models = models
        self._datasets = datasets
        self._catalogue = catalogue
        self._lock = threading.Lock()

    def submit(self, order: Order, *, request_id: str) -> JobRecord:
        """Return the job of an order, made now or by an earlier call with its request_id (empty: none).

        Raises RequestIdReusedError, SpecInvalidError with all problems, NameMalformedError, DatasetNotFoundError,
        BaseModelNotFoundError, FieldInvalidError.
        """
        _check_request_id(request_id)
        with self._lock:
            known = self._known(order, request_id)
            if known is not None:
                return known
            spec = self.resolve(order)
            job_id = new_job_id()
            version = self._models.reserve(spec.model, job_id)
            job = self._table.add(_new_job(order, spec, request_id, job_id=job_id, version=str(version)))
        return _same_order(job, order)

    def validate(self, order: Order, *, request_id: str) -> JobRecord:
        """Return the job that `submit` would make, without an id and a version; store nothing. Raises as `submit` does."""
        _check_request_id(request_id)
        known = self._known(order, request_id)
        return known or _new_job(order, self.resolve(order), request_id, job_id="", version="")

    def resolve(self, order: Order) -> JobSpec:
        """Return the spec of an order: everything that it leaves open filled in and its dataset's snapshot fixed."""
        check_id(order.model, field="spec.model")
        if order.promote_to:
            check_id(order.promote_to, field="promote_to")
        if champion := order.gates.get("champion"):
            parse_reference(str(champion), field="spec.gates.champion")
        snapshot = self._datasets.snapshot(DatasetName.parse(order.dataset, field="spec.dataset"))
        recipe = order.recipe or RECIPES[snapshot.task]
        from_scratch = recipe in FROM_SCRATCH
        base = None if from_scratch else self._catalogue.find(order.base_model or DEFAULT_BASE_MODEL)
        adaptable = order.adaptable is not False
        seed = DEFAULT_SEED if order.seed is None else order.seed

        problems = [*_recipe_problems(recipe, snapshot), *self._model_problems(order.model, snapshot.task)]
        if from_scratch:
            problems += _scratch_problems(order, recipe)
        if seed not in _SEEDS:
            problems.append(Problem("spec.seed", f"is not within [0, {_SEEDS[-1]}]"))
        hyperparameters = _hyperparameters(
            order, recipe, base, snapshot, problems, adaptable=adaptable or from_scratch
        )
        gates = _gates(order, problems)
        if problems or hyperparameters is None or gates is None:
            raise SpecInvalidError(
                "The spec cannot be carried out.", problems, field=",".join(each.field for each in problems)
            )
        return JobSpec(
            model=order.model,
            dataset=snapshot.name,
            task=snapshot.task,
            recipe=recipe,
            base_model=base.id if base else None,
            base_digest=base.digest if base else None,
            adaptable=adaptable,
            hyperparameters=hyperparameters,
            seed=seed,
            gates=gates,
        )

    def _model_problems(self, model: str, task: Task) -> list[Problem]:
        """A name keeps its task: an alias that moved to a version of another task would fail every caller."""
        # The jobs first: one that ends after they were read has its version in the store by then.
        kept = {job.spec.task for job in self._table.unfinished(model)}
        kept |= self._published_tasks(model)
        return [
            Problem("spec.model", f"versions or jobs of {model} do {other}, not {task}: choose another name")
            for other in sorted(kept - {task})
        ]

    def _published_tasks(self, model: str) -> set[Task]:
        """Return the task of the newest version that can be read: a new version is the remedy for a damaged one."""
        try:
            numbers = self._models.versions(model)
        except ModelNotFoundError:
            return set()
        for number in reversed(numbers):
            try:
                return {self._models.manifest(VersionName(model, number)).task}
            except (ArtifactCorruptError, ModelNotLoadableError):
                continue
        return set()

    def _known(self, order: Order, request_id: str) -> JobRecord | None:
        known = self._table.find_request(request_id) if request_id else None
        return None if known is None else _same_order(known, order)


def _same_order(job: JobRecord, order: Order) -> JobRecord:
    if job.order_digest != order.digest:
        raise RequestIdReusedError(
            f"request_id {job.request_id!r} belongs to {job.id}, which has another spec.",
            request_id=job.request_id,
            job=job.id,
        )
    return job


def _new_job(order: Order, spec: JobSpec, request_id: str, *, job_id: str, version: str) -> JobRecord:
    return JobRecord(
        id=job_id,
        request_id=request_id,
        order_digest=order.digest,
        spec=spec,
        promote_to=order.promote_to,
        override_reason=order.override_reason,
        version=version,
        create_time=datetime.now(UTC),
    )


def _check_request_id(request_id: str) -> None:
    if len(request_id) > _MOST_REQUEST_ID_CHARACTERS or not (
        request_id.isascii() and request_id.isprintable()
    ):
        raise FieldInvalidError(
            f"request_id is not 1 to {_MOST_REQUEST_ID_CHARACTERS} printable ASCII characters.",
            field="request_id",
            value=ascii(request_id[:_MOST_REQUEST_ID_CHARACTERS]),
        )


def _recipe_problems(recipe: RecipeName, snapshot: Snapshot) -> list[Problem]:
    if snapshot.task in TASKS[recipe]:
        return []
    return [
        Problem(
            "spec.recipe",
            f"{recipe} needs a dataset for {' or '.join(TASKS[recipe])}; this one is for {snapshot.task}",
        )
    ]


def _scratch_problems(order: Order, recipe: RecipeName) -> Iterator[Problem]:
    if order.base_model:
        yield Problem("spec.base_model", f"{recipe} starts from nothing: leave it out")
    if order.adaptable is False:
        yield Problem(
            "spec.adaptable", f"{recipe} starts from nothing, so that all of it must learn: leave it out"
        )


def _hyperparameters(
    order: Order,
    recipe: RecipeName,
    base: BaseModelEntry | None,
    snapshot: Snapshot,
    problems: list[Problem],
    *,
    adaptable: bool,
) -> Hyperparameters | None:
    """Return the recipe's defaults with the order's changes; None, and why in `problems`, if one is out of its range."""
    train = snapshot.splits["train"]
    row_count = train.row_count - train.out_of_scope_count
    changes = dict(order.hyperparameters)
    unused = unused_knobs(recipe, snapshot.task, adaptable=adaptable)
    for knob in sorted(unused.keys() & changes.keys()):
        problems.append(_knob_problem((knob,), f"{unused[knob]}: leave it out"))
        del changes[knob]
    defaults = default_hyperparameters(recipe, adaptable=adaptable, base=base, train_row_count=row_count)
    try:
        resolved = Hyperparameters.model_validate(_merged(defaults.model_dump(), changes))
    except ValidationError as error:
        problems += [_knob_problem(each["loc"], each["msg"]) for each in error.errors(include_input=False)]
        resolved = None
    max_tokens = changes.get("max_tokens", 0)
    if base is not None and isinstance(max_tokens, int) and max_tokens > base.max_tokens:
        problems.append(
            _knob_problem(("max_tokens",), f"is over the {base.max_tokens} that {base.id} allows")
        )
    frozen = changes.get("frozen_layers", 0)
    if base is not None and isinstance(frozen, int) and frozen > base.layer_count:
        problems.append(
            _knob_problem(("frozen_layers",), f"is over the {base.layer_count} layers that {base.id} has")
        )
    if resolved is None or "max_epochs" in changes or "batch_size" not in changes:
        return resolved
    epochs = epochs_for(
        recipe, adaptable=adaptable, train_row_count=row_count, batch_size=resolved.batch_size
    )
    return resolved.model_copy(update={"max_epochs": epochs})


def _gates(order: Order, problems: list[Problem]) -> QualityGates | None:
    """Return the order's gates; None, and why in `problems`, if one is out of its range. The champion is where promotion would take over."""
    if len(order.override_reason) > _MOST_REASON_CHARACTERS:
        problems.append(Problem("override_reason", f"has more than {_MOST_REASON_CHARACTERS} characters"))
    usual = f"{order.model}@{order.promote_to}" if order.promote_to else ""
    try:
        return QualityGates.model_validate({"champion": usual, **order.gates})
    except ValidationError as error:
        problems += [
            Problem(".".join(("spec.gates", *map(str, each["loc"]))), each["msg"])
            for each in error.errors(include_input=False)
        ]
        return None


def _merged(defaults: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `defaults` with `changes`, also those within a knob that has knobs of its own."""
    return defaults | {
        knob: defaults[knob] | value if isinstance(value, dict) else value for knob, value in changes.items()
    }


def _knob_problem(location: tuple[str | int, ...], description: str) -> Problem:
    return Problem(".".join(("spec.hyperparameters", *map(str, location))), description)
