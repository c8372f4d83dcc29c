"""How weights move: AdamW with bias correction, a linear warm-up, a linear decay to nothing, clipped gradients.

Biases and norms do not decay; the head's rate is higher than the encoder's, because the head starts from nothing.
"""

import math
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from transformers import get_linear_schedule_with_warmup

from services.train.spec import Hyperparameters
from shared.errors import TrainingDivergedError

ParameterGroup = dict[str, Any]

_LARGEST_GRADIENT_NORM: Final = 1.0


def parameter_groups(module: nn.Module, learning_rate: float, weight_decay: float) -> list[ParameterGroup]:
    """The parameters of `module` for the optimiser; those of one dimension are biases and norms."""
    parameters = list(module.parameters())
    return [
        {
            "params": [each for each in parameters if each.ndim > 1],
            "lr": learning_rate,
            "weight_decay": weight_decay,
        },
        {"params": [each for each in parameters if each.ndim <= 1], "lr": learning_rate, "weight_decay": 0.0},
    ]


class Optimisation:
    """The optimiser and its schedule over `total_steps`."""

    def __init__(
        self, groups: Sequence[ParameterGroup], hyperparameters: Hyperparameters, total_steps: int
    ) -> None:
        """`groups` carry their peak learning rates."""
        self._parameters: list[nn.Parameter] = [each for group in groups for each in group["params"]]
        self._optimiser = torch.optim.AdamW(groups, fused=True)
        warmup_steps = math.ceil(hyperparameters.warmup_share * total_steps)
        self._schedule = get_linear_schedule_with_warmup(  # type: ignore[no-untyped-call]
            self._optimiser, warmup_steps, total_steps
        )

    def step(self, loss: Tensor, number: int) -> float:
        """Take optimiser step `number` and return the loss. Raises TrainingDivergedError if it, or its gradient, is not finite."""
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._parameters, _LARGEST_GRADIENT_NORM)
        value = loss.item()
        if not (math.isfinite(value) and math.isfinite(norm.item())):
            raise TrainingDivergedError(
                f"Training diverged at step {number}: the loss is no longer a number. Lower the learning rates"
                " (encoder_learning_rate, head_learning_rate) or raise warmup_share, and train again.",
                step=number,
            )
        self._optimiser.step()
        self._schedule.step()
        return value
