"""How weights move: AdamW with bias correction, a rate that follows the recipe's schedule, clipped gradients.

Biases and norms do not decay; the head's rate is higher than the encoder's, because the head starts from nothing.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from services.train.spec import Hyperparameters
from services.train.trainer.rates import factor, first_steps, layer_rates
from shared.errors import TrainingDivergedError

_LARGEST_GRADIENT_NORM: Final = 1.0


@dataclass(frozen=True, slots=True)
class Group:
    """Weights that learn alike: from the step `begin`, counted from 0, on, with a rate of `peak` at most."""

    parameters: Sequence[nn.Parameter]
    peak: float
    begin: int = 0


def encoder_groups(
    depths: Sequence[Sequence[nn.Parameter]], chosen: Hyperparameters, total_steps: int
) -> list[Group]:
    """Return the groups of an encoder, by `Encoder.depths`; those that stay as they are do not appear, and are told not to learn."""
    frozen = chosen.frozen_layers + 1 if chosen.frozen_layers else int(chosen.freeze_embeddings)
    for parameter in (each for depth in depths[:frozen] for each in depth):
        parameter.requires_grad_(False)
    peaks = layer_rates(chosen.encoder_learning_rate, layers=len(depths) - 1, decay=chosen.layer_decay)
    learning = list(zip(depths, peaks, strict=True))[frozen:]
    begins = first_steps(len(learning), unfreezing_share=chosen.unfreezing_share, total=total_steps)
    return [
        Group(parameters, peak, begin)
        for (parameters, peak), begin in zip(reversed(learning), begins, strict=True)
    ]


class Optimisation:
    """The optimiser and its schedule over `total_steps`."""

    def __init__(self, groups: Sequence[Group], chosen: Hyperparameters, total_steps: int) -> None:
        """See the class. Groups that begin later have no gradients until then, which saves their backward pass."""
        self._groups = groups
        self._optimiser = torch.optim.AdamW(
            [each for group in groups for each in _decaying_or_not(group, chosen.weight_decay)], fused=True
        )
        factors = (
            partial(
                factor,
                chosen.schedule,
                begin=group.begin,
                total=total_steps,
                warmup_share=chosen.warmup_share,
            )
            for group in groups
            for _ in range(2)
        )
        self._schedule = LambdaLR(self._optimiser, list(factors))
        self._wake(0)

    @property
    def last_begin(self) -> int:
        """The step from which on all groups learn."""
        return max(group.begin for group in self._groups)

    @property
    def rates(self) -> list[float]:
        """The present rate of each group."""
        return [float(rate) for rate in self._schedule.get_last_lr()[::2]]

    def clear(self) -> None:
        """Forget the gradients."""
        self._optimiser.zero_grad(set_to_none=True)

    def step(self, loss: float, number: int) -> None:
        """Take optimiser step `number`, from 1, with the gradients that are there. Raises TrainingDivergedError if they, or `loss`, are not finite."""
        parameters = (each for group in self._groups for each in group.parameters)
        norm = nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT_NORM)
        if not (math.isfinite(loss) and math.isfinite(norm.item())):
            raise TrainingDivergedError(
                f"Training diverged at step {number}: the loss is no longer a number. Lower the learning rates"
                " (encoder_learning_rate, head_learning_rate) or raise warmup_share, and train again.",
                step=number,
            )
        self._optimiser.step()
        self._schedule.step()
        self._wake(number)

    @property
    def moments(self) -> dict[str, Tensor]:
        """What the optimiser remembers of each weight that has moved, by `<number of the weight>.<name>`."""
        state = self._optimiser.state_dict()["state"]
        return {f"{number}.{name}": value for number, of in state.items() for name, value in of.items()}

    def restore(self, moments: Mapping[str, Tensor], step: int) -> None:
        """Go on from what `moments` was after so many steps. Raises ValueError where they are not of these weights."""
        parameters = [each for group in self._optimiser.param_groups for each in group["params"]]
        state: dict[int, dict[str, Tensor]] = defaultdict(dict)
        for key, value in moments.items():
            number, _, name = key.partition(".")
            if int(number) >= len(parameters) or value.shape not in ((), parameters[int(number)].shape):
                raise ValueError(f"{key} is of another weight")
            state[int(number)][name] = value.clone()
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": state})
        if step:
            before = {
                "last_epoch": step - 1,
                "_step_count": step + 1,
            }  # not the first, of which torch would warn
            self._schedule.load_state_dict({**self._schedule.state_dict(), **before})
            self._schedule.step()
        self._wake(step)

    def _wake(self, step: int) -> None:
        for group in self._groups:
            for each in group.parameters:
                each.requires_grad_(step >= group.begin)


def _decaying_or_not(group: Group, weight_decay: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a group's matrices and, apart, what has one dimension: biases and norms."""
    matrices = [each for each in group.parameters if each.ndim > 1]
    vectors = [each for each in group.parameters if each.ndim <= 1]
    return (
        {"params": matrices, "lr": group.peak, "weight_decay": weight_decay},
        {"params": vectors, "lr": group.peak, "weight_decay": 0.0},
    )
