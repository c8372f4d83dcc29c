"""From what a caller orders to a job in the table: defaults, checks, the fixed snapshot, the reserved version.

Invariants: one request_id, one job, which the table's unique column decides; one model, one task. The table's turn around a submission, which all
services over one database share, keeps losers of a race from reserving version numbers that nobody will use, and two jobs of different tasks
from both being a model's first; whoever deletes rows takes it too, so that a job is in the table, or refused, before its rows could go.

Blocks; any thread may call.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError

from services.train.catalogue import DEFAULT_BASE_MODEL, Catalogue
from services.train.jobs.choices import (
    continued,
    filled_in,
    gates,
    hyperparameters,
    recipe_problems,
    scratch_problems,
    search,
)
from services.train.jobs.continuing import CONTINUED_VERSION, Continuing
from services.train.jobs.order import Order
from services.train.jobs.record import JobRecord
from services.train.jobs.retraining import Retraining, order_of
from services.train.jobs.table import JobTable
from services.train.recipes import DEFAULT_SEED, RECIPES
from services.train.rollout.target import parse_target
from services.train.spec import FROM_SCRATCH, JobSpec
from shared.errors import (
    ArtifactCorruptError,
    FieldInvalidError,
    ModelNotFoundError,
    ModelNotLoadableError,
    PathNotAllowedError,
    Problem,
    RequestIdReusedError,
    SpecInvalidError,
)
from shared.names import DatasetName, VersionName, check_id, new_job_id, parse_reference
from shared.store.datasets import DatasetStore
from shared.store.manifest import Manifest, Task
from shared.store.models import ModelStore

_MOST_REQUEST_ID_CHARACTERS: Final = 128
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_LIKE_VERSION: Final = "spec.like_version"
_PRIORITIES: Final = range(-100, 101)
_SEEDS: Final = range(2**32)  # what every random generator takes


class Submission:
    """Takes orders."""

    def __init__(
        self,
        table: JobTable,
        models: ModelStore,
        datasets: DatasetStore,
        catalogue: Catalogue,
        *,
        inference_hosts: Collection[str] = LOOPBACK,
    ) -> None:
        """Jobs go into `table`, their versions are reserved in `models`; `inference_hosts` are those that a job may ask whether they serve it."""
        self._table = table
        self._models = models
        self._datasets = datasets
        self._catalogue = catalogue
        self._inference_hosts = frozenset(inference_hosts)
        self._continuing = Continuing(models, datasets)

    def submit(self, order: Order, *, request_id: str) -> JobRecord:
        """Return the job of an order, made now or by an earlier call with its request_id (empty: none).

        Raises RequestIdReusedError, SpecInvalidError with all problems, NameMalformedError, DatasetNotFoundError,
        BaseModelNotFoundError, FieldInvalidError.
        """
        _check_request_id(request_id)
        with self._table.turn():
            known = self._known(order, request_id)
            if known is not None:
                return known
            spec = self.resolve(order)
            job_id = new_job_id()
            version = self._models.reserve(spec.model, job_id)
            job = self._table.add(_new_job(order, spec, request_id, job_id=job_id, version=str(version)))
        return _same_order(job, order)

    def retrain(self, asked: Retraining, *, request_id: str) -> JobRecord:
        """Return the job that trains a model anew; raises what `order_of` and `submit` do.

        A repeated request_id is known by what was asked, whatever the alias points to by now.
        """
        _check_request_id(request_id)
        known = self._table.find_request(request_id) if request_id else None
        if known is not None and known.order_digest == asked.digest:
            return known
        return self.submit(
            replace(order_of(asked, self._models), asked_as=asked.digest), request_id=request_id
        )

    def validate(self, order: Order, *, request_id: str) -> JobRecord:
        """Return the job that `submit` would make, without an id and a version; store nothing. Raises as `submit` does."""
        _check_request_id(request_id)
        known = self._known(order, request_id)
        return known or _new_job(order, self.resolve(order), request_id, job_id="", version="")

    def resolve(self, order: Order) -> JobSpec:
        """Return the spec of an order: everything that it leaves open filled in and its dataset's snapshot fixed."""
        check_id(order.model, field="spec.model")
        sent = order.hyperparameters.keys()
        self._check_target(order)
        if order.promote_to:
            check_id(order.promote_to, field="promote_to")
        if order.like_version:
            like = self._models.resolve(parse_reference(order.like_version, field=_LIKE_VERSION))
            order = filled_in(order, _spec_of(self._models.manifest(like), field=_LIKE_VERSION))
        parent = self._continuing.parent(order.continues) if order.continues else None
        if parent is not None:
            order = continued(order, _spec_of(parent, field=CONTINUED_VERSION))
        snapshot = self._datasets.snapshot(DatasetName.parse(order.dataset, field="spec.dataset"))
        recipe = order.recipe or RECIPES[snapshot.task]
        from_scratch = recipe in FROM_SCRATCH
        base = None if from_scratch else self._catalogue.find(order.base_model or DEFAULT_BASE_MODEL)
        adaptable = order.adaptable is not False
        seed = DEFAULT_SEED if order.seed is None else order.seed

        problems = [*recipe_problems(recipe, snapshot), *self._model_problems(order.model, snapshot.task)]
        if from_scratch:
            problems += scratch_problems(order, recipe)
        if order.measures_gain and (from_scratch or not adaptable):
            problems.append(Problem("spec.measures_gain", "is for trainings in which a base's weights learn"))
        if seed not in _SEEDS:
            problems.append(Problem("spec.seed", f"is not within [0, {_SEEDS[-1]}]"))
        chosen = hyperparameters(
            order, recipe, base, snapshot, problems, adaptable=adaptable or from_scratch, sent=sent
        )
        asked = gates(order, problems)
        problems += self._champion_problems(order, snapshot.task)
        if order.priority not in _PRIORITIES:
            problems.append(Problem("priority", f"is not within [{_PRIORITIES[0]}, {_PRIORITIES[-1]}]"))
        if order.most_minutes is not None and order.most_minutes <= 0:
            problems.append(Problem("max_duration", "is not more than 0: leave it out for no limit"))
        searched = search(order, recipe, snapshot.task, problems, adaptable=adaptable or from_scratch)
        if problems or chosen is None or asked is None:
            raise _invalid(problems)
        spec = JobSpec(
            model=order.model,
            dataset=snapshot.name,
            task=snapshot.task,
            recipe=recipe,
            base_model=base.id if base else None,
            base_digest=base.digest if base else None,
            adaptable=adaptable,
            hyperparameters=chosen,
            seed=seed,
            gates=asked,
            search=searched,
            without_golden_examples=order.without_golden_examples,
            measures_gain=order.measures_gain,
        )
        if parent is None:
            return spec
        continuation = self._continuing.resolve(order.continues, parent, spec, snapshot, problems)
        if problems or continuation is None:
            raise _invalid(problems)
        return spec.model_copy(update={"continues": continuation})

    def _check_target(self, order: Order) -> None:
        """Raises FieldInvalidError, and PathNotAllowedError for a host that the operator did not name."""
        if not order.inference_target:
            return
        if not order.promote_to:
            raise FieldInvalidError(
                "inference_target: servers take a version up by its alias: set promote_to too.",
                field="inference_target",
            )
        for endpoint in parse_target(order.inference_target).endpoints:
            if endpoint.host not in self._inference_hosts:
                raise PathNotAllowedError(
                    f"inference_target: {endpoint.host} is not among the hosts that jobs may ask: have it added to TAGSMITH_TRAIN_INFERENCE_HOSTS.",
                    path=endpoint.host,
                )

    def _champion_problems(self, order: Order, task: Task) -> list[Problem]:
        """A champion that is named must be there, now, and do the same task; unless it is the usual one, which may yet have to come.

        Raises NameMalformedError, the three NOT_FOUNDs.
        """
        field = "spec.gates.champion"
        champion = str(order.gates.get("champion", ""))
        if champion in ("", f"{order.model}@{order.promote_to}"):
            return []
        version = self._models.resolve(parse_reference(champion, field=field))
        other = self._models.manifest(version).task
        return [] if other == task else [Problem(field, f"{version} does {other}, not {task}")]

    def _model_problems(self, model: str, task: Task) -> list[Problem]:
        """A name keeps its task: an alias that moved to a version of another task would fail every caller."""
        # The jobs first: one that ends after they were read has its version in the store by then.
        kept = self._table.census.tasks(model) | self._published_tasks(model)
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


def _spec_of(manifest: Manifest, *, field: str) -> JobSpec:
    """Return the spec that a version was trained by. Raises SpecInvalidError with the field that names the version."""
    try:
        return JobSpec.model_validate(manifest.lineage.spec)
    except ValidationError:
        why = f"{manifest.version} was trained by a release whose specs this one cannot read"
        raise _invalid([Problem(field, why)]) from None


def _invalid(problems: list[Problem]) -> SpecInvalidError:
    fields = ",".join(each.field for each in problems)
    return SpecInvalidError("The spec cannot be carried out.", problems, field=fields)


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
        priority=order.priority,
        most_minutes=order.most_minutes,
        inference_target=order.inference_target,
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
