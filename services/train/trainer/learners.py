"""The two ways to learn: all weights, or a head on the outputs of an encoder that stays as it is.

Both offer the loop the same face: parameters, an epoch of batches, the loss of a batch, the validation split's score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from services.train.spec import Hyperparameters
from services.train.trainer.batching import training_batches
from services.train.trainer.examples import Example
from services.train.trainer.features import Features, compute_features, vectors_of
from services.train.trainer.network import Network
from services.train.trainer.optimisation import ParameterGroup, parameter_groups
from services.train.trainer.validation import Evaluation, Validation


class Learner(Protocol):
    """What the loop teaches."""

    @property
    def module(self) -> nn.Module:
        """The weights that learn."""

    @property
    def metric_name(self) -> str:
        """accuracy or span_f1."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch, at least 1."""

    def groups(self) -> list[ParameterGroup]:
        """The parameters with their peak rates."""

    def epoch(self, random: np.random.Generator) -> list[list[int]]:
        """The batches of one pass, as indices of examples."""

    def loss(self, batch: Sequence[int]) -> Tensor:
        """The mean loss of a batch, in train mode."""

    def evaluate(self) -> Evaluation:
        """Score the validation split, in eval mode."""


@dataclass(frozen=True, eq=False)
class FineTuning:
    """Adaptable on: the encoder, its embeddings and the head learn."""

    network: Network
    examples: Sequence[Example]  # each with at least one target
    validation: Validation
    hyperparameters: Hyperparameters
    pad_id: int

    @cached_property
    def _usual_weight(self) -> float:
        return usual_weight(self.examples)

    @property
    def module(self) -> nn.Module:
        """See Learner."""
        return self.network

    @property
    def metric_name(self) -> str:
        """See Learner."""
        return self.validation.metric_name

    @property
    def steps_per_epoch(self) -> int:
        """See Learner."""
        return -(-len(self.examples) // self.hyperparameters.batch_size)

    def groups(self) -> list[ParameterGroup]:
        """See Learner."""
        chosen = self.hyperparameters
        return [
            *parameter_groups(self.network.encoder, chosen.encoder_learning_rate, chosen.weight_decay),
            *parameter_groups(self.network.head, chosen.head_learning_rate, chosen.weight_decay),
        ]

    def epoch(self, random: np.random.Generator) -> list[list[int]]:
        """See Learner."""
        lengths = [example.window.token_count for example in self.examples]
        return training_batches(lengths, self.hyperparameters.batch_size, random)

    def loss(self, batch: Sequence[int]) -> Tensor:
        """See Learner."""
        examples = [self.examples[i] for i in batch]
        vectors = vectors_of(self.network.encoder, self.network.reading, examples, self.pad_id)
        return mean_loss(self.network.head.head(vectors), examples, self._usual_weight, self.hyperparameters)

    def evaluate(self) -> Evaluation:
        """See Learner."""
        self.network.eval()
        with torch.inference_mode():
            features = compute_features(
                self.network.encoder, self.network.reading, self.validation.examples, self.pad_id
            )
            return self.validation.evaluate(self.network.head.head(features.vectors))


@dataclass(frozen=True, eq=False)
class HeadTraining:
    """Adaptable off: the head learns on vectors that were computed once."""

    head: nn.Module
    examples: Sequence[Example]
    features: Features  # of `examples`
    validation: Validation
    validation_features: Features
    hyperparameters: Hyperparameters

    @cached_property
    def _usual_weight(self) -> float:
        return usual_weight(self.examples)

    @property
    def module(self) -> nn.Module:
        """See Learner."""
        return self.head

    @property
    def metric_name(self) -> str:
        """See Learner."""
        return self.validation.metric_name

    @property
    def steps_per_epoch(self) -> int:
        """See Learner."""
        return -(-len(self.examples) // self.hyperparameters.batch_size)

    def groups(self) -> list[ParameterGroup]:
        """See Learner."""
        return parameter_groups(
            self.head, self.hyperparameters.head_learning_rate, self.hyperparameters.weight_decay
        )

    def epoch(self, random: np.random.Generator) -> list[list[int]]:
        """See Learner. Vectors have no padding, so that any examples may meet."""
        order = random.permutation(len(self.examples)).tolist()
        size = self.hyperparameters.batch_size
        return [order[i : i + size] for i in range(0, len(order), size)]

    def loss(self, batch: Sequence[int]) -> Tensor:
        """See Learner."""
        examples = [self.examples[i] for i in batch]
        return mean_loss(
            self.head(self.features.of(batch)), examples, self._usual_weight, self.hyperparameters
        )

    def evaluate(self) -> Evaluation:
        """See Learner."""
        self.head.eval()
        with torch.inference_mode():
            return self.validation.evaluate(self.head(self.validation_features.vectors))


def usual_weight(examples: Sequence[Example]) -> float:
    """Return the mean weight of the targets of `examples`."""
    total = sum(example.weight * len(example.targets) for example in examples)
    return total / sum(len(example.targets) for example in examples)


def mean_loss(
    logits: Tensor, examples: Sequence[Example], usual: float, hyperparameters: Hyperparameters
) -> Tensor:
    """Cross-entropy over the targets of `examples`, weighted; `logits` is (targets, outputs), at least one target.

    Multi-label: the mean of the binary cross-entropies of all labels.

    Weights count against the dataset's `usual` one, not the batch's own: windows of long texts meet in one batch, and dividing by
    their own weights would give each of them the pull of a whole text.
    """
    targets = torch.from_numpy(np.concatenate([example.targets for example in examples]))
    if targets.ndim == 2:
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=1)
    else:
        losses = functional.cross_entropy(
            logits, targets, reduction="none", label_smoothing=hyperparameters.label_smoothing
        )
    counts = torch.tensor([len(example.targets) for example in examples])
    weights = torch.tensor([example.weight / usual for example in examples]).repeat_interleave(counts)
    return (losses * weights).mean()
