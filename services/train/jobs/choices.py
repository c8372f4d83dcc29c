"""What an order chooses of a recipe, filled in and checked: problems are gathered, so that a caller sees all of them at once. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from pydantic import ValidationError

from services.train.catalogue import BaseModelEntry
from services.train.jobs.idle_knobs import idle_knobs
from services.train.jobs.order import Order
from services.train.jobs.ranges import range_problems
from services.train.presets import presets_of
from services.train.reasons import BLANK_REASON, MOST_REASON_CHARACTERS, is_blank
from services.train.recipes import TASKS, default_hyperparameters, epochs_for, unused_knobs
from services.train.spec import (
    FROM_SCRATCH,
    Hyperparameters,
    JobSpec,
    PresetName,
    QualityGates,
    RecipeName,
    Search,
)
from shared.errors import Problem
from shared.store.datasets import Snapshot
from shared.store.manifest import Task

_OF_WEIGHTS: Final = ("pooling", "recurrent", "max_tokens")  # knobs by which a network reads, not learns


def filled_in(order: Order, like: JobSpec) -> Order:
    """Return an order whose open recipe, base, switch, seed and hyperparameters are those of a spec."""
    recipe = order.recipe or like.recipe
    from_scratch = recipe in FROM_SCRATCH
    adaptable = like.adaptable if order.adaptable is None else order.adaptable
    unused = unused_knobs(recipe, like.task, adaptable=adaptable or from_scratch)
    knobs = like.hyperparameters.model_dump(exclude=set(unused), exclude_none=True)
    return replace(
        order,
        recipe=recipe,
        base_model=order.base_model or ("" if from_scratch else like.base_model or ""),
        adaptable=order.adaptable if from_scratch else adaptable,
        seed=like.seed if order.seed is None else order.seed,
        hyperparameters=_merged(knobs, order.hyperparameters),
    )


def continued(order: Order, parent: JobSpec) -> Order:
    """Return an order whose open recipe, base, switch and knobs of the network are those of the spec that it goes on from.

    How to learn stays open: the rows are others. An order for another recipe is left as it is, to be refused for that alone.
    """
    if order.recipe not in (None, parent.recipe):
        return order
    knobs = {
        knob: value
        for knob, value in parent.hyperparameters.model_dump(exclude_none=True).items()
        if knob in _OF_WEIGHTS and knob not in unused_knobs(parent.recipe, parent.task, adaptable=True)
    }
    frozen = not parent.adaptable  # on is the default, which recipes from scratch want left open
    return replace(
        order,
        recipe=parent.recipe,
        base_model=order.base_model or parent.base_model or "",
        adaptable=False if frozen and order.adaptable is None else order.adaptable,
        hyperparameters=_merged(knobs, order.hyperparameters),
    )


def recipe_problems(recipe: RecipeName, snapshot: Snapshot) -> list[Problem]:
    """Return what keeps a recipe from a dataset."""
    if snapshot.task in TASKS[recipe]:
        return []
    return [
        Problem(
            "spec.recipe",
            f"{recipe} needs a dataset for {' or '.join(TASKS[recipe])}; this one is for {snapshot.task}",
        )
    ]


def scratch_problems(order: Order, recipe: RecipeName) -> Iterator[Problem]:
    """Yield what an order asks of a recipe that starts from nothing."""
    if order.base_model:
        yield Problem("spec.base_model", f"{recipe} starts from nothing: leave it out")
    if order.adaptable is False:
        yield Problem(
            "spec.adaptable", f"{recipe} starts from nothing, so that all of it must learn: leave it out"
        )


def hyperparameters(
    order: Order,
    recipe: RecipeName,
    base: BaseModelEntry | None,
    snapshot: Snapshot,
    problems: list[Problem],
    *,
    adaptable: bool,
    sent: Collection[str],
) -> Hyperparameters | None:
    """Return the preset's defaults with the order's changes; None, and why in `problems`, if one is out of its range.

    `sent` names the changes that the caller asked for; the others are those of an earlier spec.
    """
    train = snapshot.splits["train"]
    row_count = train.row_count - train.out_of_scope_count
    changes = dict(order.hyperparameters)
    unused = unused_knobs(recipe, snapshot.task, adaptable=adaptable)
    for knob in sorted(unused.keys() & changes.keys()):
        problems.append(_knob_problem((knob,), f"{unused[knob]}: leave it out"))
        del changes[knob]
    preset = _preset(order, recipe, problems, adaptable=adaptable)
    defaults = default_hyperparameters(
        recipe, adaptable=adaptable, base=base, train_row_count=row_count, preset=preset
    )
    try:
        resolved = Hyperparameters.model_validate(_merged(defaults.model_dump(), changes))
    except ValidationError as error:
        problems += range_problems("spec.hyperparameters", error)
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
    if resolved is not None:
        for idle in idle_knobs(resolved, defaults, order, base, snapshot):
            if idle.name in sent:
                problems.append(_knob_problem((idle.name,), f"{idle.why}: leave it out"))
            resolved = resolved.model_copy(update={idle.name: idle.unset})
    if resolved is None or "max_epochs" in changes or "batch_size" not in changes:
        return resolved
    epochs = epochs_for(
        recipe,
        adaptable=adaptable,
        train_row_count=row_count,
        batch_size=resolved.batch_size,
        preset=preset,
    )
    return resolved.model_copy(update={"max_epochs": epochs})


def _preset(order: Order, recipe: RecipeName, problems: list[Problem], *, adaptable: bool) -> PresetName:
    """Return the order's preset; the standard one, and why in `problems`, if the recipe does not have it."""
    known = presets_of(recipe, adaptable=adaptable)
    if order.preset and order.like_version:
        problems.append(
            Problem("spec.preset", f"{order.like_version} says how to train already: leave one of them out")
        )
    if order.preset is None or order.preset in known:
        return order.preset or "standard"
    without = "" if adaptable else " with adaptable off"
    problems.append(
        Problem("spec.preset", f"{recipe} has no preset {order.preset}{without}, only {', '.join(known)}")
    )
    return "standard"


def gates(order: Order, problems: list[Problem]) -> QualityGates | None:
    """Return the order's gates; None, and why in `problems`, if one is out of its range. The champion is where promotion would take over."""
    if len(order.override_reason) > MOST_REASON_CHARACTERS:
        problems.append(Problem("override_reason", f"has more than {MOST_REASON_CHARACTERS} characters"))
    if "\0" in order.override_reason:
        problems.append(Problem("override_reason", "has a NUL character, which not every database keeps"))
    if is_blank(order.override_reason):
        problems.append(Problem("override_reason", BLANK_REASON))
    usual = f"{order.model}@{order.promote_to}" if order.promote_to else ""
    losses = sorted(
        order.gates.keys() & {"most_points_lost", "most_label_points_lost", "most_slice_points_lost"}
    )
    if losses and not (usual or order.gates.get("champion")):
        problems.append(
            Problem(
                "spec.gates.champion",
                f"is not set, and {', '.join(losses)} needs one: name it, or promote_to",
            )
        )
    try:
        return QualityGates.model_validate({"champion": usual, **order.gates})
    except ValidationError as error:
        problems += range_problems("spec.gates", error)
        return None


def search(
    order: Order, recipe: RecipeName, task: Task, problems: list[Problem], *, adaptable: bool
) -> Search | None:
    """Return what the order searches; None where nothing, or, with why in `problems`, where that cannot be."""
    if order.search is None:
        return None
    try:
        asked = Search.model_validate(order.search)
    except ValidationError as error:
        problems += range_problems("spec.search", error)
        return None
    unused = unused_knobs(recipe, task, adaptable=adaptable)
    problems += [
        Problem("spec.search.knobs", f"{knob} {unused[knob]}: leave it out")
        for knob in asked.knobs
        if knob in unused
    ]
    return asked


def _merged(defaults: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `defaults` with `changes`, also those within a knob that has knobs of its own."""
    return defaults | {
        knob: defaults.get(knob, {}) | value if isinstance(value, dict) else value
        for knob, value in changes.items()
    }


def _knob_problem(location: tuple[str | int, ...], description: str) -> Problem:
    return Problem(".".join(("spec.hyperparameters", *map(str, location))), description)
