"""The moving average of weights, held to the recurrence that it is."""

import pytest
import torch
from torch import nn

from services.train.trainer.averaging import Averaging


def averages(decay: float, steps: int) -> list[float]:
    """What is seen after each step of a module whose only weight is the number of the step."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 0)
    averaging = Averaging(module, decay)
    seen = []
    for number in range(1, steps + 1):
        nn.init.constant_(module.weight, number)
        averaging.count()
        with averaging.applied():
            seen.append(module.weight.item())
        assert module.weight.item() == number
    return seen


def test_the_average_is_the_recurrence() -> None:
    """Steps 1, 2 and 3 count each, then every fourth; the share that is kept grows from 1/10 to the decay of four steps."""
    expected, average, updates = [], 0.0, 0
    for number in range(1, 201):
        if number < 4:
            kept = min(0.9**4, number / (number + 9))
            average = kept * average + (1 - kept) * number
        elif number % 4 == 0:
            updates += 1
            kept = min(0.9**4, updates / (updates + 9))
            average = kept * average + (1 - kept) * number
        expected.append(average)
    assert averages(0.9, 200) == pytest.approx(expected, rel=1e-5)
    assert updates / (updates + 9) > 0.9**4  # both sides of the smaller were taken


def test_without_a_decay_the_weights_stand_for_themselves() -> None:
    """After every step."""
    assert averages(0.0, 10) == list(range(1, 11))


def look_and_fail(averaging: Averaging, module: nn.Linear) -> None:
    """Raise while the averages are applied."""
    with averaging.applied():
        assert module.weight.item() < 2
        raise ValueError("in between")


def test_a_look_that_fails_gives_the_weights_back() -> None:
    """An evaluation that raises leaves the module with its own weights."""
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 1)
    averaging = Averaging(module, 0.9)
    nn.init.constant_(module.weight, 2)
    averaging.count()
    with pytest.raises(ValueError, match="in between"):
        look_and_fail(averaging, module)
    assert module.weight.item() == 2


def test_gradients_flow_on_after_a_look() -> None:
    """The module keeps its parameters: what an optimiser holds is what is averaged."""
    module = nn.Linear(1, 1, bias=False)
    optimiser = torch.optim.SGD(module.parameters(), lr=1.0)
    averaging = Averaging(module, 0.5)
    before = module.weight.item()
    for _ in range(2):
        with averaging.applied():
            pass
        module(torch.ones(1)).sum().backward()
        optimiser.step()
        optimiser.zero_grad()
        averaging.count()
    assert module.weight.item() == pytest.approx(before - 2)
    with averaging.applied():
        assert before - 2 < module.weight.item() < before
