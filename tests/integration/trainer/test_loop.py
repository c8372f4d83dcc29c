"""The loop alone, on a learner whose scores are written down beforehand."""

from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from services.train.events import Progress
from services.train.trainer.batching import training_batches
from services.train.trainer.loop import FEWEST_STEPS_BETWEEN_EVALUATIONS, fit
from services.train.trainer.optimisation import Group
from services.train.trainer.validation import Evaluation
from shared.errors import TrainingDivergedError
from tests.integration.trainer.world import FAST


class Scripted:
    """A learner of one weight. Evaluation i finds metric i of the script; the weights of each look are kept."""

    metric_name = "accuracy"

    def __init__(
        self,
        script: Sequence[tuple[float, float]],
        *,
        steps_per_epoch: int,
        diverges_at: int = 0,
        begin: int = 0,
    ) -> None:
        self.module = nn.Linear(1, 1)
        self.steps_per_epoch = steps_per_epoch
        self.seen: list[Tensor] = []
        self.modes: list[bool] = []
        self._script = iter(script)
        self._losses = count(1)
        self._diverges_at = diverges_at
        self._begin = begin

    def groups(self, _: int) -> list[Group]:
        return [Group([self.module.weight], 0.1), Group([self.module.bias], 0.1, self._begin)]

    def epoch(self, random: np.random.Generator) -> list[list[int]]:
        return [[0, 1] for _ in range(self.steps_per_epoch)]

    def loss(self, part: Sequence[int], *, batch: Sequence[int]) -> Tensor:
        self.modes.append(self.module.training)
        loss: Tensor = self.module(torch.ones(1, 1)).sum()
        return loss * float("nan") if next(self._losses) == self._diverges_at else loss

    def evaluate(self) -> Evaluation:
        self.module.eval()
        self.seen.append(self.module.weight.detach().clone())
        return Evaluation(*next(self._script))


def clock() -> Iterator[float]:
    """A clock that a look at moves on by a millisecond."""
    return (number / 1000 for number in count())


def run(learner: Scripted, *, epochs: int, patience: int, averaging_decay: float = 0.0) -> list[Progress]:
    """Every progress of a training."""
    chosen = FAST.model_copy(
        update={"max_epochs": epochs, "patience": patience, "averaging_decay": averaging_decay}
    )
    ticks = clock()
    return list(fit(learner, chosen, seed=1, now=lambda: next(ticks)))


def test_early_stopping_restores_the_best_weights() -> None:
    """Training stops `patience` evaluations after the best one and leaves the weights of the best one, not of the last."""
    learner = Scripted([(0.5, 1), (0.9, 1), (0.8, 1), (0.7, 1), (1.0, 1)], steps_per_epoch=30)
    progress = run(learner, epochs=5, patience=2)
    assert len(learner.seen) == 4
    assert torch.equal(learner.module.weight, learner.seen[1])
    assert not torch.equal(learner.module.weight, learner.seen[3])
    assert (progress[-1].step, progress[-1].total_steps) == (120, 150)
    assert (progress[-1].metric, progress[-1].best_metric) == (0.7, 0.9)


def test_patience_waits_until_every_layer_learns() -> None:
    """Under gradual unfreezing an evaluation says nothing about layers that have not begun."""
    learner = Scripted([(0.9, 1), (0.8, 1), (0.7, 1), (0.6, 1), (0.5, 1)], steps_per_epoch=30, begin=60)
    run(learner, epochs=5, patience=2)
    assert len(learner.seen) == 4
    assert torch.equal(learner.module.weight, learner.seen[0])


def test_the_average_is_what_is_evaluated_and_kept() -> None:
    """With averaging a look sees weights between those of the beginning and those that the steps have come to; the kept ones are those seen."""
    plain = Scripted([(0.5, 1), (0.9, 1)], steps_per_epoch=40)
    averaged = Scripted([(0.5, 1), (0.9, 1)], steps_per_epoch=40)
    averaged.module.load_state_dict(plain.module.state_dict())
    start = plain.module.weight.item()
    run(plain, epochs=2, patience=9)
    run(averaged, epochs=2, patience=9, averaging_decay=0.98)
    assert plain.seen[1].item() < averaged.seen[1].item() < start
    assert torch.equal(averaged.module.weight, averaged.seen[1])


def test_the_best_weights_are_restored_without_an_early_stop() -> None:
    """Weights of an evaluation before the last win if they scored better, though patience never ran out."""
    learner = Scripted([(0.5, 1), (0.9, 1), (0.8, 1)], steps_per_epoch=30)
    run(learner, epochs=3, patience=9)
    assert torch.equal(learner.module.weight, learner.seen[1])


def test_among_equal_metrics_the_lower_loss_wins() -> None:
    """A tie is settled by the loss, but does not count as better: patience runs on."""
    learner = Scripted([(0.9, 3), (0.9, 1), (0.9, 2), (1.0, 1)], steps_per_epoch=30)
    run(learner, epochs=4, patience=2)
    assert len(learner.seen) == 3
    assert torch.equal(learner.module.weight, learner.seen[1])


def test_tiny_datasets_are_not_evaluated_all_the_time() -> None:
    """Epochs of few steps are evaluated every so many steps, and once at the end."""
    learner = Scripted([(0.1 * i, 1) for i in range(9)], steps_per_epoch=3)
    progress = run(learner, epochs=15, patience=9)
    assert len(learner.seen) == 1 + 45 // FEWEST_STEPS_BETWEEN_EVALUATIONS
    assert progress[-1].step == 45


def test_every_step_is_taken_in_train_mode() -> None:
    """An evaluation between two steps does not leave dropout off."""
    learner = Scripted([(0.1, 1), (0.2, 1)], steps_per_epoch=25)
    run(learner, epochs=2, patience=9)
    assert learner.modes == [True] * 50


def test_progress_tells_rate_and_remaining_time() -> None:
    """Rows a second and the time left follow the clock that the loop was given."""
    progress = run(Scripted([(0.1, 1), (0.2, 1)], steps_per_epoch=25), epochs=2, patience=9)[0]
    assert progress.step == 25
    assert progress.rows_per_second * (progress.remaining_ms / 1000) == pytest.approx(25 * 2, rel=0.1)


def test_a_loss_that_is_no_number_ends_training() -> None:
    """The first step whose loss is NaN is named, and its gradient changes nothing."""
    learner = Scripted([], steps_per_epoch=30, diverges_at=7)
    with pytest.raises(TrainingDivergedError) as caught:
        run(learner, epochs=1, patience=1)
    assert caught.value.metadata == {"step": "7"}
    assert bool(torch.isfinite(learner.module.weight).all())


def test_batches_hold_every_example_once_and_little_padding() -> None:
    """An epoch sees each example once; its batches waste far less on padding than random ones; epochs differ."""
    random = np.random.default_rng(0)
    lengths = random.integers(3, 200, 1000).tolist()
    first, second = (training_batches(lengths, 16, random) for _ in range(2))
    assert sorted(i for batch in first for i in batch) == list(range(1000))
    padded = sum(max(lengths[i] for i in batch) * len(batch) for batch in first)
    assert padded < 1.15 * sum(lengths)
    assert {frozenset(batch) for batch in first}.isdisjoint({frozenset(batch) for batch in second})
