"""Recipe defaults."""

from dataclasses import replace
from math import ceil
from typing import get_args

import pytest

from services.train.catalogue import Catalogue
from services.train.presets import STANDARD, presets_of
from services.train.recipes import RECIPES, TASKS, default_hyperparameters, epochs_for, unused_knobs
from services.train.spec import FROM_SCRATCH, PresetName, RecipeName
from shared.store.manifest import Task

BASE = replace(Catalogue(None).list()[0], max_tokens=512)


@pytest.mark.parametrize(("recipe", "adaptable"), [each for each in STANDARD if each[0] not in FROM_SCRATCH])
def test_every_recipe_has_sound_defaults(recipe: RecipeName, adaptable: bool) -> None:
    """Defaults are within the ranges of the spec, and the head learns faster than the encoder."""
    chosen = default_hyperparameters(recipe, adaptable=adaptable, base=BASE, train_row_count=5000)
    assert chosen.head_learning_rate > chosen.encoder_learning_rate
    assert chosen.max_tokens == 256
    assert chosen.pooling == BASE.pooling


def test_from_scratch_no_base_is_asked() -> None:
    """There is no window of a base to keep to, and one pooling."""
    chosen = default_hyperparameters("rnn-classifier", adaptable=True, base=None, train_row_count=5000)
    assert (chosen.max_tokens, chosen.pooling) == (256, "masked-mean")
    assert chosen.recurrent is not None


def test_recipes_and_tasks_belong_together() -> None:
    """Each task has a recipe for orders that name none, which says so."""
    assert set(RECIPES) == set(get_args(Task))
    assert all(task in TASKS[recipe] for task, recipe in RECIPES.items())


@pytest.mark.parametrize("recipe", TASKS)
def test_small_datasets_get_more_passes(recipe: RecipeName) -> None:
    """Passes fall with the number of rows, so that the number of steps stays about the same between the bounds."""
    counts = [10, 100, 1000, 10_000, 100_000, 1_000_000]
    passes = [epochs_for(recipe, adaptable=True, train_row_count=n, batch_size=32) for n in counts]
    assert passes == sorted(passes, reverse=True)
    assert passes[0] > passes[3] > 1


def test_a_larger_batch_gets_more_passes() -> None:
    """A request's own batch size keeps the number of steps."""
    small, large = (
        epochs_for("transformer-classifier", adaptable=True, train_row_count=9000, batch_size=size)
        * ceil(9000 / size)
        for size in (16, 64)
    )
    assert small == pytest.approx(large, rel=0.5)


def test_the_window_is_never_longer_than_the_base_allows() -> None:
    """A base of short windows sets the limit."""
    chosen = default_hyperparameters(
        "entity-extractor", adaptable=True, base=replace(BASE, max_tokens=128), train_row_count=100
    )
    assert chosen.max_tokens == 128


@pytest.mark.parametrize(("recipe", "adaptable"), STANDARD)
def test_a_preset_changes_nothing_without_effect(recipe: RecipeName, adaptable: bool) -> None:
    """What a recipe does not use is as in its standard preset, in all of its presets; and each of them changes something."""
    standard, *others = presets_of(recipe, adaptable=adaptable).values()
    unused = unused_knobs(recipe, TASKS[recipe][0], adaptable=adaptable)
    assert others
    for other in others:
        changed = {knob for knob, value in other.knobs().items() if value != standard.knobs()[knob]}
        assert not changed & unused.keys()
        assert other != standard


def test_quick_takes_a_third_of_the_passes_and_keeps_to_the_batch() -> None:
    """Also where the request sets its own batch size."""

    def passes(preset: PresetName, batch_size: int) -> int:
        return epochs_for(
            "transformer-classifier",
            adaptable=True,
            train_row_count=2000,
            batch_size=batch_size,
            preset=preset,
        )

    assert [(passes("standard", size), passes("quick", size)) for size in (32, 16)] == [(39, 13), (20, 7)]
    chosen = default_hyperparameters(
        "transformer-classifier", adaptable=True, base=BASE, train_row_count=2000, preset="quick"
    )
    assert (chosen.max_epochs, chosen.patience, chosen.freeze_embeddings) == (13, 2, True)
