"""The recipes' defaults: every knob that a request leaves open.

Owns: the numbers. They depend on the recipe, on the Adaptable switch, on the base and on the number of train rows, because on
small data the number of steps matters more than anything else (arXiv:2006.05987): passes are counted so that training has
about as many steps as it needs, early stopping takes back what was too much. Pure.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

from services.train.catalogue import BaseModelEntry
from services.train.spec import (
    FROM_SCRATCH,
    ClassWeights,
    Hyperparameters,
    RecipeName,
    RecurrentShape,
    Schedule,
    SearchedKnob,
)
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


@dataclass(frozen=True, slots=True)
class Preset:
    """What a recipe starts from, whatever the base and the dataset; a row of the README's table."""

    batch_size: int
    encoder_learning_rate: float
    head_learning_rate: float
    warmup_share: float
    weight_decay: float
    dropout: float
    patience: int
    label_smoothing: float
    steps: int  # aimed at
    epochs: tuple[int, int]  # fewest, most passes, whatever the number of steps
    schedule: Schedule = "linear"
    layer_decay: float = 1.0
    unfreezing_share: float = 0.0
    class_weights: ClassWeights = "equal"
    averaging_decay: float = 0.0
    recurrent: RecurrentShape | None = None


# A text's label is one of many and sometimes wrong; a tag is one of few, and softened tags blur the edges of spans.
PRESETS: Final[dict[tuple[RecipeName, bool], Preset]] = {
    ("transformer-classifier", True): Preset(
        batch_size=32,
        encoder_learning_rate=1e-4,
        head_learning_rate=1e-3,
        warmup_share=0.1,
        weight_decay=0.01,
        dropout=0.1,
        patience=4,
        label_smoothing=0.1,
        steps=2400,
        epochs=(4, 40),
    ),
    ("transformer-classifier", False): Preset(
        batch_size=64,
        encoder_learning_rate=1e-4,  # one of the `unused_knobs`, here and below
        head_learning_rate=1e-3,
        warmup_share=0.05,
        weight_decay=0.01,
        dropout=0.5,  # the head is wide, and frozen vectors are few
        patience=10,
        label_smoothing=0.1,
        steps=3500,
        epochs=(10, 100),
    ),
    ("entity-extractor", True): Preset(
        batch_size=16,
        encoder_learning_rate=2e-4,
        head_learning_rate=1e-3,
        warmup_share=0.1,
        weight_decay=0.01,
        dropout=0.1,
        patience=4,
        label_smoothing=0.0,
        steps=1600,
        epochs=(4, 40),
    ),
    ("entity-extractor", False): Preset(
        batch_size=32,
        encoder_learning_rate=1e-4,
        head_learning_rate=1e-3,
        warmup_share=0.05,
        weight_decay=0.01,
        dropout=0.1,
        patience=8,
        label_smoothing=0.0,
        steps=6000,
        epochs=(8, 100),
    ),
    ("rnn-classifier", True): Preset(
        batch_size=32,
        encoder_learning_rate=3e-3,
        head_learning_rate=3e-3,
        warmup_share=0.1,
        weight_decay=0.01,
        dropout=0.5,
        patience=8,
        label_smoothing=0.1,
        steps=5000,
        epochs=(8, 60),
        recurrent=RecurrentShape(cell="gru", layers=1, width=256, embedding_width=256, vocabulary_size=8000),
    ),
}


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
    recipe: RecipeName, *, adaptable: bool, base: BaseModelEntry | None, train_row_count: int
) -> Hyperparameters:
    """Every knob of `recipe` for a dataset of `train_row_count` rows on `base` (None: from scratch)."""
    preset = PRESETS[recipe, adaptable]
    return Hyperparameters(
        max_epochs=epochs_for(
            recipe, adaptable=adaptable, train_row_count=train_row_count, batch_size=preset.batch_size
        ),
        batch_size=preset.batch_size,
        encoder_learning_rate=preset.encoder_learning_rate,
        head_learning_rate=preset.head_learning_rate,
        warmup_share=preset.warmup_share,
        weight_decay=preset.weight_decay,
        dropout=preset.dropout,
        patience=preset.patience,
        max_tokens=min(DEFAULT_MAX_TOKENS, base.max_tokens) if base else DEFAULT_MAX_TOKENS,
        pooling=base.pooling if base else "masked-mean",
        label_smoothing=preset.label_smoothing,
        recurrent=preset.recurrent,
        schedule=preset.schedule,
        layer_decay=preset.layer_decay,
        unfreezing_share=preset.unfreezing_share,
        class_weights=preset.class_weights,
        averaging_decay=preset.averaging_decay,
    )


def epochs_for(recipe: RecipeName, *, adaptable: bool, train_row_count: int, batch_size: int) -> int:
    """Passes that give about the recipe's number of steps; for a request that sets its own batch size too.

    Steps count windows and this counts rows, which are as many where no text is longer than the window.
    """
    preset = PRESETS[recipe, adaptable]
    fewest, most = preset.epochs
    steps_per_epoch = max(1, ceil(train_row_count / batch_size))
    return min(most, max(fewest, ceil(preset.steps / steps_per_epoch)))
