"""The two ways to learn: all weights, or a head on the outputs of an encoder that stays as it is.

Both offer the loop the same face: parameters, an epoch of batches, the loss of a part of a batch, the validation split's score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from services.train.spec import Hyperparameters
from services.train.trainer.batching import training_batches
from services.train.trainer.devices import autocast
from services.train.trainer.examples import Example
from services.train.trainer.features import Features, compute_features, vectors_of
from services.train.trainer.network import Network
from services.train.trainer.objective import Objective
from services.train.trainer.optimisation import Group, encoder_groups
from services.train.trainer.validation import Evaluation, Validation


class Learner(Protocol):
    """What the loop teaches."""

    @property
    def module(self) -> nn.Module:
        """The weights that learn."""

    @property
    def metric_name(self) -> str:
        """accuracy, micro_f1 or span_f1."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch, at least 1."""

    def groups(self, total_steps: int) -> list[Group]:
        """The parameters with their peak rates."""

    def epoch(self, random: np.random.Generator) -> list[list[int]]:
        """The batches of one pass, as indices of examples."""

    def loss(self, part: Sequence[int], *, batch: Sequence[int]) -> Tensor:
        """The share of a part of a batch in the batch's mean loss, in train mode."""

    def evaluate(self) -> Evaluation:
        """Score the validation split, in eval mode."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Lessons:
    """What both ways learn from."""

    examples: Sequence[Example]  # each with at least one target
    objective: Objective
    validation: Validation
    hyperparameters: Hyperparameters

    @property
    def metric_name(self) -> str:
        """See Learner."""
        return self.validation.metric_name

    @property
    def steps_per_epoch(self) -> int:
        """See Learner."""
        return -(-len(self.examples) // self.hyperparameters.batch_size)

    def _loss(self, logits: Tensor, part: Sequence[int], batch: Sequence[int]) -> Tensor:
        target_count = sum(len(self.examples[i].targets) for i in batch)
        return self.objective.loss(
            logits.float(), [self.examples[i] for i in part], target_count=target_count
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FineTuning(_Lessons):
    """Adaptable on: the encoder, or its upper layers, and the head learn."""

    network: Network
    pad_id: int

    @property
    def module(self) -> nn.Module:
        """See Learner."""
        return self.network

    def groups(self, total_steps: int) -> list[Group]:
        """See Learner."""
        chosen = self.hyperparameters
        head = Group(list(self.network.head.parameters()), chosen.head_learning_rate)
        return [head, *encoder_groups(self.network.encoder.depths(), chosen, total_steps)]

    def epoch(self, random: np.random.Generator) -> list[list[int]]:
        """See Learner."""
        return training_batches(self._lengths, self.hyperparameters.batch_size, random)

    def loss(self, part: Sequence[int], *, batch: Sequence[int]) -> Tensor:
        """See Learner."""
        examples = [self.examples[i] for i in part]
        with autocast(self.hyperparameters.precision):
            vectors = vectors_of(self.network.encoder, self.network.reading, examples, self.pad_id)
            logits = self.network.head.head(vectors)
        return self._loss(logits, part, batch)

    def evaluate(self) -> Evaluation:
        """See Learner."""
        self.network.eval()
        with torch.inference_mode():
            features = compute_features(
                self.network.encoder, self.network.reading, self.validation.examples, self.pad_id
            )
            vectors = features.vectors.to(self.network.encoder.token_embeddings.device)
            return self.validation.evaluate(self.network.head.head(vectors).cpu())

    @cached_property
    def _lengths(self) -> list[int]:
        return [example.window.token_count for example in self.examples]


@dataclass(frozen=True, eq=False, kw_only=True)
class HeadTraining(_Lessons):
    """Adaptable off: the head learns on vectors that were computed once."""

    head: nn.Module
    features: Features  # of `examples`
    validation_features: Features

    @property
    def module(self) -> nn.Module:
        """See Learner."""
        return self.head

    def groups(self, _: int) -> list[Group]:
        """See Learner."""
        return [Group(list(self.head.parameters()), self.hyperparameters.head_learning_rate)]

    def epoch(self, random: np.random.Generator) -> list[list[int]]:
        """See Learner. Vectors have no padding, so that any examples may meet."""
        order = random.permutation(len(self.examples)).tolist()
        size = self.hyperparameters.batch_size
        return [order[i : i + size] for i in range(0, len(order), size)]

    def loss(self, part: Sequence[int], *, batch: Sequence[int]) -> Tensor:
        """See Learner."""
        return self._loss(self.head(self.features.of(part)), part, batch)

    def evaluate(self) -> Evaluation:
        """See Learner."""
        self.head.eval()
        with torch.inference_mode():
            return self.validation.evaluate(self.head(self.validation_features.vectors))
