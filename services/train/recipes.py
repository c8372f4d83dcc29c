"""Recipes, the knobs that each has, and the values of those that a request leaves open.

They depend on the preset, on the base and on the number of train rows, because on small data the number of steps matters more than
anything else (arXiv:2006.05987): passes are counted so that training has about as many steps as it needs, early stopping takes back
what was too much. Pure.
"""

from math import ceil
from typing import Final

from services.train.catalogue import BaseModelEntry
from services.train.presets import presets_of
from services.train.spec import FROM_SCRATCH, Hyperparameters, PresetName, RecipeName, SearchedKnob
from shared.store.manifest import Task

TASKS: Final[dict[RecipeName, tuple[Task, ...]]] = {
    "transformer-classifier": ("classification", "multi-label"),
    "entity-extractor": ("entities",),
    "rnn-classifier": ("classification", "multi-label"),
}
RECIPES: Final[dict[Task, RecipeName]] = {  # of an order that names none
    "classification": "transformer-classifier",
    "multi-label": "transformer-classifier",
    "entities": "entity-extractor",
}
DEFAULT_SEED: Final = 13
DEFAULT_MAX_TOKENS: Final = 256  # longer windows cost short texts nothing, and few texts need a second one
# About what a base has learnt already.
_OF_LAYERS: Final = ("layer_decay", "frozen_layers", "freeze_embeddings", "unfreezing_share")


def searched_knobs(recipe: RecipeName, task: Task, *, adaptable: bool) -> tuple[SearchedKnob, ...]:
    """Return the knobs that a search varies unless it is told others."""
    wanted: tuple[SearchedKnob, ...] = (
        "encoder_learning_rate",
        "head_learning_rate",
        "dropout",
        "label_smoothing",
        "layer_decay",
        "averaging_decay",
    )
    unused = unused_knobs(recipe, task, adaptable=adaptable)
    return tuple(knob for knob in wanted if knob not in unused)


def unused_knobs(recipe: RecipeName, task: Task, *, adaptable: bool) -> dict[str, str]:
    """Return the hyperparameters without any effect, each with why: setting one is refused, a job's spec is shown without them."""
    unused = {"pooling" if recipe in FROM_SCRATCH else "recurrent": f"has no effect on {recipe}"}
    if task == "multi-label":
        unused["label_smoothing"] = f"has no effect on {task}"
    if task != "classification":
        unused["most_refused_share"] = f"has no effect on {task}"
    if task == "entities":
        unused["pooling"] = f"has no effect on {task}"
    if not adaptable:
        knobs = ("encoder_learning_rate", "precision", *_OF_LAYERS)
        unused |= dict.fromkeys(knobs, "has no effect with adaptable off")
    elif recipe in FROM_SCRATCH:
        unused |= dict.fromkeys(_OF_LAYERS, f"has no effect on {recipe}: nothing is learnt yet")
    return unused


def default_hyperparameters(
    recipe: RecipeName,
    *,
    adaptable: bool,
    base: BaseModelEntry | None,
    train_row_count: int,
    preset: PresetName = "standard",
) -> Hyperparameters:
    """Every knob of `recipe` for a dataset of `train_row_count` rows on `base` (None: from scratch). Raises KeyError for a preset that it does not have."""
    found = presets_of(recipe, adaptable=adaptable)[preset]
    return Hyperparameters(
        max_epochs=epochs_for(
            recipe,
            adaptable=adaptable,
            train_row_count=train_row_count,
            batch_size=found.batch_size,
            preset=preset,
        ),
        max_tokens=min(DEFAULT_MAX_TOKENS, base.max_tokens) if base else DEFAULT_MAX_TOKENS,
        pooling=base.pooling if base else "masked-mean",
        **found.knobs(),
    )


def epochs_for(
    recipe: RecipeName,
    *,
    adaptable: bool,
    train_row_count: int,
    batch_size: int,
    preset: PresetName = "standard",
) -> int:
    """Passes that give about the preset's number of steps; for a request that sets its own batch size too.

    Steps count windows and this counts rows, which are as many where no text is longer than the window.
    """
    found = presets_of(recipe, adaptable=adaptable)[preset]
    fewest, most = found.epochs
    steps_per_epoch = max(1, ceil(train_row_count / batch_size))
    return min(most, max(fewest, ceil(found.steps / steps_per_epoch)))
