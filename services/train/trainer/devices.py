"""Where a training runs: the first GPU that CUDA sees, else the processor; and in which precision the encoder multiplies there."""

from contextlib import AbstractContextManager
from functools import cache

import torch

from services.train.spec import Precision
from shared.processor import multiplies_bfloat16


def training_device() -> torch.device:
    """Return the device that weights learn on."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def be_deterministic() -> None:
    """Have the same operations on the same numbers give the same bits, on one machine."""
    torch.use_deterministic_algorithms(mode=True)
    # Torch would fill whatever memory it takes, for those who read it unwritten; that is a tenth of a small encoder's step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def autocast(precision: Precision) -> AbstractContextManager[None]:
    """Have matrices multiply in bf16 where `precision` asks for it: weights, sums and the loss stay float32 (arXiv:1710.03740).

    `auto` takes bf16 where the GPU or the processor multiplies in it; elsewhere it would be slower than what it stands for.
    """
    device = training_device()
    wanted = precision == "bf16" or (precision == "auto" and _multiplies_bf16(device))
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=wanted)


@cache  # every step asks
def _multiplies_bf16(device: torch.device) -> bool:
    return torch.cuda.is_bf16_supported() if device.type == "cuda" else multiplies_bfloat16()
