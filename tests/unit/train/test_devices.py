"""In which precision a training multiplies."""

import pytest
import torch

from services.train.spec import Precision
from services.train.trainer import devices
from services.train.trainer.devices import autocast


@pytest.mark.parametrize(
    ("precision", "has_it", "expected"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
        ("bf16", False, torch.bfloat16),
        ("fp32", True, torch.float32),
    ],
)
def test_auto_multiplies_in_what_the_processor_has(
    monkeypatch: pytest.MonkeyPatch, precision: Precision, has_it: bool, expected: torch.dtype
) -> None:
    """Weights stay as they are; only products are rounded."""
    monkeypatch.setattr(devices, "training_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(devices, "_multiplies_bf16", lambda _: has_it)
    layer = torch.nn.Linear(4, 2)
    with autocast(precision):
        assert layer(torch.ones(1, 4)).dtype is expected
    assert layer.weight.dtype is torch.float32
