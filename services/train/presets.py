"""Presets: ways of training that have a name, and their numbers for each recipe, adaptable and frozen. Pure."""

from dataclasses import dataclass, fields, replace
from math import ceil
from typing import Any, Final

from services.train.spec import FROM_SCRATCH, ClassWeights, PresetName, RecipeName, RecurrentShape, Schedule


@dataclass(frozen=True, slots=True)
class Preset:
    """What a recipe starts from, whatever the base and the dataset; a column of the README's table."""

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
    freeze_embeddings: bool = False
    recurrent: RecurrentShape | None = None

    def knobs(self) -> dict[str, Any]:
        """Return those of its numbers that are hyperparameters as they stand."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("steps", "epochs")
        }


# A text's label is one of many and sometimes wrong; a tag is one of few, and softened tags blur the edges of spans.
STANDARD: Final[dict[tuple[RecipeName, bool], Preset]] = {
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
        schedule="slanted-triangular",
        layer_decay=0.8,
        unfreezing_share=0.2,
        averaging_decay=0.99,
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
        schedule="slanted-triangular",
        layer_decay=0.8,
        unfreezing_share=0.2,
        averaging_decay=0.99,
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


def _quick(preset: Preset, *, learns: bool) -> Preset:
    """A third of the steps, for a first look; embeddings, much of a multilingual base, stay as they are."""
    fewest, most = preset.epochs
    return replace(
        preset,
        steps=preset.steps // 3,
        epochs=(ceil(fewest / 3), ceil(most / 3)),
        patience=ceil(preset.patience / 2),
        freeze_embeddings=learns,
    )


def _cross_lingual(preset: Preset) -> Preset:
    """Stay close to the base: embeddings of scripts that training never shows must still fit what is above them."""
    return replace(preset, freeze_embeddings=True, layer_decay=min(0.8, preset.layer_decay))


def presets_of(recipe: RecipeName, *, adaptable: bool) -> dict[PresetName, Preset]:
    """Return the presets that a recipe has."""
    standard = STANDARD[recipe, adaptable]
    learns = adaptable and recipe not in FROM_SCRATCH  # an encoder that has learnt already
    presets: dict[PresetName, Preset] = {"standard": standard, "quick": _quick(standard, learns=learns)}
    return {**presets, "cross-lingual": _cross_lingual(standard)} if learns else presets
