"""What is minimised, held to formulas that are written out here."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from services.train.spec import ClassWeights, Hyperparameters
from services.train.trainer.class_weights import class_weights
from services.train.trainer.examples import Example
from services.train.trainer.objective import Objective
from shared.runtime.windows import Window
from tests.unit.train.jobs.records import SPEC

WINDOW = Window(np.zeros(3, dtype=np.int64), 0, 1, 1)
RARE = [0] * 90 + [1] * 8 + [2] * 2  # labels of a train split


def of_labels(numbers: Sequence[int], weight: float = 1.0) -> list[Example]:
    """An example of one target for each label."""
    return [Example(WINDOW, np.zeros(1, dtype=np.int64), np.array([n]), weight) for n in numbers]


def chosen(**change: object) -> Hyperparameters:
    """Hyperparameters that name what a test is about."""
    usual = {"label_smoothing": 0.0, "class_weights": "equal"}
    return SPEC.hyperparameters.model_copy(update={**usual, **change})


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("equal", [1, 1, 1]), ("square-root", [0.8453, 1.4641, 1]), ("balanced", [2 / 3, 2, 1])],
)
def test_rare_labels_weigh_more_and_all_targets_one_in_the_mean(
    kind: ClassWeights, expected: list[float]
) -> None:
    """Six rows and two: by the power of the ratio of their counts; a label without a row counts 1."""
    train = of_labels([0] * 6 + [1] * 2)
    weights = class_weights(kind, train, 3)
    assert weights.tolist() == pytest.approx(expected, abs=1e-4)
    assert (6 * weights[0] + 2 * weights[1]) / 8 == pytest.approx(1)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("equal", [1, 1, 1]), ("square-root", [3**0.5, 3**-0.5, 1]), ("balanced", [3, 1 / 3, 1])],
)
def test_of_several_labels_what_is_there_weighs_as_it_is_lacking(
    kind: ClassWeights, expected: list[float]
) -> None:
    """Absent rows to present ones; a label that no row has counts 1."""
    present = np.array([[1, 0, 0]] * 2 + [[0, 1, 0]] * 6, dtype=np.float32)
    rows = [replace(of_labels([0])[0], targets=each[np.newaxis]) for each in present]
    assert class_weights(kind, rows, 3).tolist() == pytest.approx(expected)


def test_a_weighted_and_smoothed_loss_is_lowest_where_smoothing_alone_has_it() -> None:
    """Weights say how much a row counts, not where it pulls: the best logits of a frequent label's row are those without weights, and rare labels do not draw it."""
    objective = Objective(of_labels(RARE), 3, chosen(class_weights="balanced", label_smoothing=0.3))
    logits = torch.zeros(1, 3, requires_grad=True)
    optimiser = torch.optim.LBFGS([logits], lr=1, max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = objective.loss(logits, of_labels([0]), target_count=1)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    assert torch.softmax(logits, dim=1)[0].tolist() == pytest.approx([0.8, 0.1, 0.1], abs=1e-3)


def test_a_row_counts_as_much_as_its_label_weighs() -> None:
    """Each row's smoothed cross-entropy, times the weight of its own label."""
    hyperparameters = chosen(class_weights="balanced", label_smoothing=0.3)
    objective = Objective(of_labels(RARE), 3, hyperparameters)
    weights = class_weights("balanced", of_labels(RARE), 3)
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]])
    smooth = functional.cross_entropy(logits, torch.tensor([0, 2]), reduction="none", label_smoothing=0.3)
    expected = (weights[0] * smooth[0] + weights[2] * smooth[1]) / 2
    assert objective.loss(logits, of_labels([0, 2]), target_count=2).item() == pytest.approx(expected.item())


def test_a_window_counts_by_its_share_against_the_usual_one() -> None:
    """Windows of half a text pull half as much as one of a whole text, whatever else is in their batch."""
    train = [*of_labels([0, 1]), *of_labels([0, 1], weight=0.5)]
    objective = Objective(train, 2, chosen())
    logits = torch.tensor([[1.0, -1.0]])
    whole, half = (
        objective.loss(logits, of_labels([0], weight), target_count=1).item() for weight in (1.0, 0.5)
    )
    entropy = functional.cross_entropy(logits, torch.tensor([0])).item()
    assert whole == pytest.approx(entropy / 0.75)
    assert half == pytest.approx(whole / 2)


def test_parts_of_a_batch_share_its_count() -> None:
    """The count is the batch's: two parts of one row each add up to the mean over both."""
    objective = Objective(of_labels([0, 1]), 2, chosen())
    logits = torch.tensor([[1.0, -1.0], [0.5, 0.0]])
    together = objective.loss(logits, of_labels([0, 1]), target_count=2)
    parts = [objective.loss(logits[i : i + 1], of_labels([i]), target_count=2) for i in range(2)]
    assert sum(each.item() for each in parts) == pytest.approx(together.item())
    assert together.item() == pytest.approx(functional.cross_entropy(logits, torch.tensor([0, 1])).item())


def test_each_target_of_an_example_has_its_example_s_weight() -> None:
    """Examples of several targets, as entities have: the first window's two targets count half of the other's one."""
    two = replace(of_labels([0])[0], rows=np.zeros(2, dtype=np.int64), targets=np.array([0, 1]), weight=0.5)
    one = replace(of_labels([1])[0], weight=1.0)
    objective = Objective([two, one], 2, chosen())
    logits = torch.tensor([[1.0, -1.0], [0.5, 0.0], [3.0, 0.0]])
    entropies = functional.cross_entropy(logits, torch.tensor([0, 1, 1]), reduction="none")
    usual = (0.5 * 2 + 1.0) / 3
    expected = (0.5 * (entropies[0] + entropies[1]) + entropies[2]) / usual / 3
    assert objective.loss(logits, [two, one], target_count=3).item() == pytest.approx(expected.item())


def test_of_several_labels_the_weight_is_of_those_that_are_there() -> None:
    """The mean over labels of binary cross-entropies, the present ones times their weight."""
    present = np.array([[1, 0]] * 2 + [[0, 1]] * 6, dtype=np.float32)
    rows = [replace(of_labels([0])[0], targets=each[np.newaxis]) for each in present]
    objective = Objective(rows, 2, chosen(class_weights="balanced"))
    logits = torch.tensor([[1.0, -1.0]])
    expected = (3 * functional.softplus(-logits[0, 0]) + functional.softplus(logits[0, 1])) / 2
    assert objective.loss(logits, rows[:1], target_count=1).item() == pytest.approx(expected.item())
