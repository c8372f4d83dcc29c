"""Lessons of every recipe on the tiny world, made anew for each training, and trainings that are broken off."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from services.train.spec import Assignment, Hyperparameters, RecurrentShape
from services.train.trainer.corpus import read_corpus
from services.train.trainer.devices import be_deterministic
from services.train.trainer.pipeline import prepare
from services.train.trainer.starting import start
from services.train.trainer.taught import Taught
from services.train.trainer.teaching import Lesson
from shared.runtime.reader import TextReader
from shared.runtime.tokenizer import TextTokenizer
from shared.store.datasets import DatasetStore
from shared.store.manifest import Task
from shared.store.opening import open_store
from tests.integration.trainer.world import FAST, Workplace

_GRU = RecurrentShape(cell="gru", layers=1, width=16, embedding_width=12, vocabulary_size=400)
_SHORT = {"max_epochs": 5, "patience": 9, "encoder_learning_rate": 1e-3, "precision": "fp32"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A way to train."""

    task: Task
    adaptable: bool = True
    knobs: Mapping[str, object] | None = None
    from_scratch: bool = False

    @property
    def hyperparameters(self) -> Hyperparameters:
        """A few epochs of it."""
        return Hyperparameters.model_validate({**FAST.model_dump(), **_SHORT, **(self.knobs or {})})


RECIPES: Final = {
    "all weights, thawing, averaged, bf16": Recipe(
        "classification",
        knobs={"unfreezing_share": 0.5, "averaging_decay": 0.9, "precision": "bf16", "schedule": "cosine"},
    ),
    "all weights in parts": Recipe(
        "classification", knobs={"micro_batch_size": 5, "frozen_layers": 1, "layer_decay": 0.8}
    ),
    "frozen": Recipe("classification", adaptable=False, knobs={"averaging_decay": 0.9}),
    "entities": Recipe("entities", knobs={"schedule": "slanted-triangular", "patience": 1}),
    "frozen entities": Recipe("entities", adaptable=False),
    "several labels": Recipe("multi-label", knobs={"max_epochs": 2, "averaging_decay": 0.9}),
    "from scratch": Recipe(
        "classification", knobs={"recurrent": _GRU, "encoder_learning_rate": 1e-2}, from_scratch=True
    ),
    "lstm": Recipe(
        "entities",
        knobs={"recurrent": _GRU.model_copy(update={"cell": "lstm", "layers": 2})},
        from_scratch=True,
    ),
}


def assigned(workplace: Workplace, base: Path, name: str) -> Assignment:
    """A job of the recipe."""
    recipe = RECIPES[name]
    return workplace.assign(
        None if recipe.from_scratch else base,
        recipe.task,
        adaptable=recipe.adaptable,
        hyperparameters=recipe.hyperparameters,
    )


def lesson_of(assignment: Assignment, scratch: Path) -> Lesson:
    """The lesson of a job, as a new process makes it."""
    torch.set_num_threads(1)
    be_deterministic()
    torch.manual_seed(assignment.spec.seed)
    corpus = read_corpus(DatasetStore(open_store(assignment.store)), assignment.spec)
    scratch.mkdir(exist_ok=True)
    beginning = start(assignment, corpus, scratch)
    reader = TextReader(TextTokenizer(beginning.tokenizer), corpus.task, 32, stride_tokens=8)
    encoded = {
        split: reader.encode([row.text for row in corpus.splits[split]]) for split in ("train", "validation")
    }
    return prepare(assignment.spec, corpus, encoded, beginning.encoder, reader.tokenizer.pad_id)


class Killed(BaseException):
    """A training is broken off."""


def killed_after(steps: int) -> Callable[[], bool]:
    """For a Driver's `stop_asked`, which it calls after each step."""
    taken = 0

    def count() -> bool:
        nonlocal taken
        taken += 1
        if taken == steps:
            raise Killed
        return False

    return count


def weights_of(taught: Taught) -> dict[str, Tensor]:
    """Copies of all weights."""
    return {name: each.clone() for name, each in taught.network.state_dict().items()}


def differences(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> list[str]:
    """The names of weights that are not the same, bit for bit."""
    assert one.keys() == other.keys()
    return [name for name, each in one.items() if not torch.equal(each, other[name])]
