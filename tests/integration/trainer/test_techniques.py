"""The techniques of fine-tuning: which weights move, when, and that what saves memory changes nothing else."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from services.train.spec import Hyperparameters, RecurrentShape
from services.train.trainer.accumulation import Accumulation
from services.train.trainer.averaging import Averaging
from services.train.trainer.class_weights import class_weights
from services.train.trainer.examples import Example
from services.train.trainer.learners import FineTuning
from services.train.trainer.network import Encoder, LinearHead, Network
from services.train.trainer.objective import Objective
from services.train.trainer.optimisation import Optimisation, encoder_groups
from services.train.trainer.recurrent import RecurrentEncoder
from services.train.trainer.transformer import load_encoder
from services.train.trainer.validation import Validation
from shared.errors import TrainingOutOfMemoryError
from shared.runtime.windows import Window
from tests.integration.trainer.world import FAST

CALM = FAST.model_copy(update={"precision": "fp32", "dropout": 0.0, "weight_decay": 0.0, "warmup_share": 0.0})
STEPS = 40


@pytest.fixture
def encoder(tiny_base: Path) -> Encoder:
    """The tiny base, without dropout."""
    encoder = load_encoder(tiny_base)
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return encoder


class Crowded(FineTuning):
    """A learner in a memory that holds `room` windows at once."""

    room = 1000
    tried: list[int]

    def loss(self, part: Sequence[int], *, batch: Sequence[int]) -> Tensor:
        """See Learner."""
        self.tried.append(len(part))
        if len(part) > self.room:
            raise torch.OutOfMemoryError("no room")
        return super().loss(part, batch=batch)


def examples(count: int) -> list[Example]:
    """Windows of several lengths, with a label each and weights that differ."""
    dice = np.random.default_rng(3)
    return [
        Example(
            Window(np.array([2, *dice.integers(5, 40, 1 + i % 7), 3]), 0, 1 + i % 7, 1),
            np.zeros(1, dtype=np.int64),
            np.array([i % 3]),
            1.0 - 0.1 * (i % 2),
        )
        for i in range(count)
    ]


def learner_of(encoder: Encoder, chosen: Hyperparameters, room: int = 1000) -> Crowded:
    """A learner of three labels."""
    torch.manual_seed(1)
    rows = examples(16)
    head = LinearHead(encoder.width, 3, dropout=0.0)
    learner = Crowded(
        examples=rows,
        objective=Objective(rows, 3, chosen),
        validation=Validation.__new__(Validation),  # nobody looks at it here
        hyperparameters=chosen,
        network=Network(encoder, head, "pooled"),
        pad_id=0,
    )
    object.__setattr__(learner, "tried", [])
    object.__setattr__(learner, "room", room)
    return learner


def moved(encoder: Encoder, chosen: Hyperparameters, steps: int) -> list[bool]:
    """Which depths, the embeddings first, have changed after some steps of a training of STEPS."""
    learner = learner_of(encoder, chosen)
    before = [[each.detach().clone() for each in depth] for depth in encoder.depths()]
    optimisation = Optimisation(learner.groups(STEPS), chosen, STEPS)
    for number in range(1, steps + 1):
        optimisation.step(Accumulation(learner, chosen).gradients(list(range(16)), optimisation), number)
    return [
        any(not torch.equal(one, other) for one, other in zip(old, depth, strict=True))
        for old, depth in zip(before, encoder.depths(), strict=True)
    ]


def test_every_weight_has_one_depth(encoder: Encoder) -> None:
    """The depths are a partition of the parameters, in both kinds of encoder; the embeddings are at the bottom."""
    shape = RecurrentShape(cell="gru", layers=2, width=8, embedding_width=8, vocabulary_size=300)
    for each in (encoder, RecurrentEncoder(shape, vocabulary_size=300, dropout=0.0)):
        depths = each.depths()
        assert len(depths) == 1 + len(each.layers) == 3
        ids = [id(parameter) for depth in depths for parameter in depth]
        assert len(ids) == len(set(ids))
        assert set(ids) == {id(parameter) for parameter in each.parameters()}
        assert id(each.token_embeddings) in {id(parameter) for parameter in depths[0]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, [True, True, True]),
        ({"freeze_embeddings": True}, [False, True, True]),
        ({"frozen_layers": 1}, [False, False, True]),
        ({"frozen_layers": 2}, [False, False, False]),
    ],
)
def test_what_is_frozen_stays_as_it_is(
    encoder: Encoder, change: dict[str, int], expected: list[bool]
) -> None:
    """Freezing of any depth: not a bit of a frozen layer changes, everything above does."""
    assert moved(encoder, CALM.model_copy(update=change), 2) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(10, [False, False, False]), (11, [False, False, True]), (21, [False, True, True]), (31, [True] * 3)],
)
def test_layers_thaw_from_the_top(encoder: Encoder, steps: int, expected: list[bool]) -> None:
    """Over three quarters of 40 steps: head alone for ten, then a layer every ten, the embeddings at last."""
    assert moved(encoder, CALM.model_copy(update={"unfreezing_share": 0.75}), steps) == expected


def test_lower_layers_take_smaller_steps(encoder: Encoder) -> None:
    """Rates fall by the decay from the top layer to the embeddings; the head's is its own."""
    chosen = CALM.model_copy(update={"layer_decay": 0.5})
    groups = encoder_groups(encoder.depths(), chosen, STEPS)
    assert [group.peak for group in groups] == pytest.approx(
        [chosen.encoder_learning_rate * each for each in (1, 0.5, 0.25)]
    )


def gradients(
    encoder: Encoder, chosen: Hyperparameters, room: int = 1000
) -> tuple[list[Tensor], Crowded, float]:
    """The gradients of one batch, whose learner they are of, and its loss."""
    learner = learner_of(encoder, chosen, room)
    optimisation = Optimisation(learner.groups(STEPS), chosen, STEPS)
    loss = Accumulation(learner, chosen).gradients(list(range(16)), optimisation)
    return [each.grad for each in learner.module.parameters() if each.grad is not None], learner, loss


def test_parts_of_a_batch_add_up_to_the_whole(encoder: Encoder) -> None:
    """Micro-batches of five give the gradients and the loss of the whole batch, though their targets weigh differently."""
    whole, _, loss = gradients(encoder, CALM)
    parts, learner, loss_of_parts = gradients(encoder, CALM.model_copy(update={"micro_batch_size": 5}))
    assert learner.tried == [5, 5, 5, 1]
    assert loss_of_parts == pytest.approx(loss, rel=1e-5)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_a_batch_that_does_not_fit_is_halved_until_it_does(encoder: Encoder) -> None:
    """Memory for five windows: sixteen, eight, then four at once, and the gradients are those of the whole."""
    whole, _, loss = gradients(encoder, CALM)
    parts, learner, loss_of_parts = gradients(encoder, CALM, room=5)
    assert learner.tried == [16, 8, 4, 4, 4, 4]
    assert loss_of_parts == pytest.approx(loss, rel=1e-5)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_a_window_that_does_not_fit_is_an_error_with_a_remedy(encoder: Encoder) -> None:
    """Where one window is too large nothing can be halved any more."""
    with pytest.raises(TrainingOutOfMemoryError, match="lower max_tokens"):
        gradients(encoder, CALM, room=0)


def test_a_bound_on_windows_holds_from_the_first_step(encoder: Encoder) -> None:
    """After an attempt that ran out of memory the next computes fewer at once, whatever it was told or has kept; the gradients are the same."""
    whole, _, _ = gradients(encoder, CALM)
    learner = learner_of(encoder, CALM)
    optimisation = Optimisation(learner.groups(STEPS), CALM, STEPS)
    accumulation = Accumulation(learner, CALM, most_windows=6)
    accumulation.gradients(list(range(16)), optimisation)
    assert learner.tried == [6, 6, 4]
    for one, other in zip(whole, (each.grad for each in learner.module.parameters()), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)
    accumulation.restore(16)
    assert accumulation.windows == 6
    accumulation.restore(2)
    assert accumulation.windows == 2


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("std::bad_alloc")])
def test_whatever_lacks_memory_halves_the_batch(encoder: Encoder, error: Exception) -> None:
    """Python, C++ and torch each have a word for it."""
    learner = learner_of(encoder, CALM, room=5)
    real = type(learner).loss

    def loss(part: Sequence[int], *, batch: Sequence[int]) -> Tensor:
        try:
            return real(learner, part, batch=batch)
        except torch.OutOfMemoryError:
            raise error from None

    object.__setattr__(learner, "loss", loss)
    optimisation = Optimisation(learner.groups(STEPS), CALM, STEPS)
    Accumulation(learner, CALM).gradients(list(range(16)), optimisation)
    assert learner.tried == [16, 8, 4, 4, 4, 4]


def test_other_errors_are_no_lack_of_memory(encoder: Encoder) -> None:
    """A fault of the code is not retried in smaller parts."""
    learner = learner_of(encoder, CALM)
    optimisation = Optimisation(learner.groups(STEPS), CALM, STEPS)
    with pytest.raises(IndexError):
        Accumulation(learner, CALM).gradients([99], optimisation)


def test_the_average_follows_and_the_weights_come_back() -> None:
    """Each average is between the weights it has seen; after a look the module has its own weights again."""
    layer = nn.Linear(1, 1)
    averaging = Averaging(layer, 0.9)
    for number in range(1, 41):
        nn.init.constant_(layer.weight, number)
        averaging.count()
    with averaging.applied():
        seen = layer.weight.item()
    assert 30 < seen < 40
    assert layer.weight.item() == 40


def test_without_averaging_nothing_is_kept() -> None:
    """A decay of nought: a look sees the weights themselves."""
    layer = nn.Linear(1, 1)
    averaging = Averaging(layer, 0.0)
    averaging.count()
    kept = layer.weight.item()
    with averaging.applied():
        assert layer.weight.item() == kept


def of_label(numbers: Sequence[int]) -> list[Example]:
    """An example for each label."""
    return [Example(examples(1)[0].window, np.zeros(1, dtype=np.int64), np.array([n]), 1.0) for n in numbers]


def test_rare_labels_count_more() -> None:
    """Balanced: all labels together count alike; the square root is between that and equal; the mean target counts 1; absent labels too."""
    rows = of_label([0] * 90 + [1] * 10)
    equal, root, balanced = (class_weights(kind, rows, 3) for kind in ("equal", "square-root", "balanced"))
    assert equal.tolist() == [1, 1, 1]
    assert balanced[0] * 90 == pytest.approx(balanced[1] * 10)
    assert root[1] / root[0] == pytest.approx(3)
    for weights in (root, balanced):
        assert (weights[0] * 90 + weights[1] * 10) / 100 == pytest.approx(1)
    ordered = [float(each[1]) for each in (equal, root, balanced)]
    assert all(a < b for a, b in pairwise(ordered))


def test_rare_presence_counts_more_among_several_labels() -> None:
    """Balanced: as often as the label is absent for each time that it is there."""
    rows = [
        Example(
            examples(1)[0].window,
            np.zeros(1, dtype=np.int64),
            np.array([[i < 10, i < 50, 0]], dtype=np.float32),
            1.0,
        )
        for i in range(100)
    ]
    assert class_weights("balanced", rows, 3).tolist() == pytest.approx([9, 1, 1])
    assert class_weights("equal", rows, 3).tolist() == [1, 1, 1]
