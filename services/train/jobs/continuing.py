"""Whether a training can go on from a version: what both must share, so that weights fit. Blocks; any thread may call."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from services.train.jobs.ranges import range_problems
from services.train.spec import Continuation, JobSpec
from shared.data.rows import label_faults
from shared.errors import DatasetNotFoundError, Problem
from shared.names import DatasetName, VersionName, parse_reference
from shared.store.datasets import DatasetStore, Snapshot
from shared.store.manifest import Manifest
from shared.store.models import ModelStore

_FIELD: Final = "spec.continue_from"
CONTINUED_VERSION: Final = f"{_FIELD}.version"


class Continuing:
    """Looks at versions that trainings are to go on from."""

    def __init__(self, models: ModelStore, datasets: DatasetStore) -> None:
        """Versions are in `models`, what they learnt from in `datasets`."""
        self._models = models
        self._datasets = datasets

    def parent(self, asked: Mapping[str, Any]) -> Manifest:
        """Return the version that `asked` names. Raises NameMalformedError and the three NOT_FOUNDs."""
        reference = parse_reference(str(asked.get("version", "")), field=CONTINUED_VERSION)
        return self._models.manifest(self._models.resolve(reference))

    def resolve(
        self,
        asked: Mapping[str, Any],
        parent: Manifest,
        spec: JobSpec,
        snapshot: Snapshot,
        problems: list[Problem],
    ) -> Continuation | None:
        """Return what `asked` means for `spec`, whose dataset is `snapshot`, after `parent`; None, and why in `problems`, if that cannot be."""
        version = parent.version
        try:
            continuation = Continuation.model_validate({**asked, "version": str(version)})
        except ValidationError as error:
            problems += range_problems(_FIELD, error)
            return None
        problems += _shape_problems(parent, spec)
        problems += _rename_problems(parent, continuation, snapshot)
        if continuation.keeps_labels and not continuation.replay_share:
            problems.append(
                Problem(
                    f"{_FIELD}.keeps_labels", "needs a replay_share: labels are kept by rows that have them"
                )
            )
        elif continuation.replay_share and not self._has_rows(parent):
            remedy = "set it to 0, and leave keeps_labels out"
            problems.append(
                Problem(f"{_FIELD}.replay_share", f"the rows that {version} learnt from are gone: {remedy}")
            )
        return continuation

    def _has_rows(self, parent: Manifest) -> bool:
        try:
            for name in rows_behind(self._models, str(parent.version)):
                self._datasets.snapshot(DatasetName.parse(name))
        except DatasetNotFoundError:
            return False
        return True


def rows_behind(models: ModelStore, version: str) -> Iterator[str]:
    """Yield the snapshots that replay draws from: what a version learnt from, what was replayed to it, and so on to the first that nothing was replayed to."""
    later: str | None = version
    while later is not None:
        lineage = models.manifest(VersionName.parse(later)).lineage
        yield lineage.dataset
        later = lineage.replayed_version


def _shape_problems(parent: Manifest, spec: JobSpec) -> list[Problem]:
    """What keeps the weights of `parent` from being the beginning of what `spec` asks for."""
    if parent.weights is None:
        return [Problem(CONTINUED_VERSION, f"{parent.version} was published without its weights")]
    then, now = parent.lineage.spec, spec.model_dump(mode="json")
    shapes = {
        "task": (parent.task, spec.task),
        "recipe": (then.get("recipe"), spec.recipe),
        "base_model": (then.get("base_digest"), spec.base_digest),
        "adaptable": (parent.lineage.adaptable, spec.adaptable),
        **{
            f"hyperparameters.{knob}": (_knob(then, knob), _knob(now, knob))
            for knob in ("pooling", "recurrent")
        },
    }
    return [
        Problem(f"spec.{field}", f"is {after}; the weights of {parent.version} fit {before} only")
        for field, (before, after) in shapes.items()
        if before != after
    ]


def _knob(spec: Mapping[str, Any], name: str) -> object:
    return spec.get("hyperparameters", {}).get(name)


def _rename_problems(parent: Manifest, asked: Continuation, snapshot: Snapshot) -> list[Problem]:
    field = f"{_FIELD}.label_renames"
    unknown = sorted(asked.label_renames.keys() - set(parent.labels))
    problems = [Problem(field, f"{parent.version} has no label {label!r}") for label in unknown]
    problems += [
        Problem(field, fault)
        for name in asked.label_renames.values()
        for fault in label_faults("new name", name)
    ]
    names = [asked.label_renames.get(label, label) for label in parent.labels]
    if len(set(names)) < len(names):
        problems.append(Problem(field, "two labels would have one name: labels cannot be merged so"))
    if not asked.keeps_labels:
        lost = sorted(set(asked.label_renames.values()) - set(snapshot.labels))
        problems += [Problem(field, f"the dataset has no label {label!r} to rename to") for label in lost]
    return problems
