"""What is minimised: the cross-entropy over targets, weighted by label and by window."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from services.train.spec import Hyperparameters
from services.train.trainer.class_weights import class_weights
from services.train.trainer.examples import Example


class Objective:
    """The loss of examples of one dataset."""

    def __init__(self, examples: Sequence[Example], outputs: int, chosen: Hyperparameters) -> None:
        """`examples` are those of the train split; `outputs` counts labels or tags."""
        targets = sum(len(example.targets) for example in examples)
        self._usual_weight = sum(example.weight * len(example.targets) for example in examples) / targets
        self._label_smoothing = chosen.label_smoothing
        self._of_labels = torch.from_numpy(class_weights(chosen.class_weights, examples, outputs))

    def loss(self, logits: Tensor, examples: Sequence[Example], *, target_count: int) -> Tensor:
        """Return the share of `examples` in the mean loss over a batch of `target_count` targets; `logits` is (targets, outputs).

        Weights count against the dataset's usual one, not the batch's own: windows of long texts meet in one batch, and dividing by
        their own weights would give each of them the pull of a whole text. Multi-label: the mean of the binary cross-entropies of all labels.
        """
        targets = torch.from_numpy(np.concatenate([example.targets for example in examples])).to(
            logits.device
        )
        of_labels = self._of_labels.to(logits.device)
        if targets.ndim == 2:
            losses = functional.binary_cross_entropy_with_logits(
                logits, targets, reduction="none", pos_weight=of_labels
            ).mean(dim=1)
        else:
            # Weighted by the target alone: torch's own weights would count every label that smoothing spreads to.
            losses = of_labels[targets] * functional.cross_entropy(
                logits, targets, reduction="none", label_smoothing=self._label_smoothing
            )
        counts = torch.tensor([len(example.targets) for example in examples])
        weights = torch.tensor([example.weight / self._usual_weight for example in examples])
        return (losses * weights.repeat_interleave(counts).to(logits.device)).sum() / target_count
