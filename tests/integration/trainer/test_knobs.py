"""Each knob that a request may turn has its effect: learners and optimisers whose specs differ in it alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from services.train.spec import Hyperparameters
from services.train.trainer.corpus import read_corpus
from services.train.trainer.driving import Driver
from services.train.trainer.gain import teach_from_scratch
from services.train.trainer.network import DeepHead
from services.train.trainer.optimisation import Group, Optimisation
from services.train.trainer.pipeline import prepare
from services.train.trainer.teaching import Lesson
from services.train.trainer.transformer import load_encoder
from shared.runtime.reader import TextReader
from shared.runtime.tokenizer import TextTokenizer
from shared.store.datasets import DatasetStore
from shared.store.opening import open_store
from tests.integration.trainer.world import FAST, Workplace

SHORT = FAST.model_copy(update={"max_epochs": 2, "precision": "fp32"})
CHANGES: dict[str, float | str] = {
    "max_epochs": 1,
    "batch_size": 8,
    "encoder_learning_rate": 1e-3,
    "head_learning_rate": 1e-3,
    "warmup_share": 0.5,
    "weight_decay": 0.5,
    "dropout": 0.5,
    "pooling": "first-token",
    "label_smoothing": 0.0,
    "schedule": "cosine",
    "layer_decay": 0.5,
    "frozen_layers": 1,
    "freeze_embeddings": True,
    "unfreezing_share": 0.5,
    "averaging_decay": 0.9,
    "precision": "bf16",
    "micro_batch_size": 4,
}
NOT_ABOUT_STEPS = {
    "patience",
    "max_tokens",
    "recurrent",
    "class_weights",  # its rows are balanced
    "most_refused_share",  # chosen when the weights are
}  # test_loop, test_training, test_recurrent, test_techniques show these

DECAYING = FAST.model_copy(update={"weight_decay": 0.125, "warmup_share": 0.0})

Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def make_lesson(workplace: Workplace, tiny_base: Path) -> Callable[[Hyperparameters], Lesson]:
    """`make_lesson(hyperparameters)`: a classifier's, everything else being the same."""

    def prepared(chosen: Hyperparameters) -> Lesson:
        assignment = workplace.assign(tiny_base, "classification", adaptable=True, hyperparameters=chosen)
        corpus = read_corpus(DatasetStore(open_store(assignment.store)), assignment.spec)
        reader = TextReader(TextTokenizer(tiny_base / "tokenizer.json"), corpus.task, 32, stride_tokens=8)
        torch.manual_seed(assignment.spec.seed)
        encoded = {
            split: reader.encode([row.text for row in corpus.splits[split]])
            for split in ("train", "validation")
        }
        pad_id = reader.tokenizer.pad_id
        return prepare(assignment.spec, corpus, encoded, load_encoder(tiny_base), pad_id)

    return prepared


@pytest.fixture(scope="module")
def teach(make_lesson: Callable[[Hyperparameters], Lesson]) -> Callable[[Hyperparameters], Weights]:
    """`teach(hyperparameters)`: the weights after the lesson."""
    return lambda chosen: dict(make_lesson(chosen).teach(Driver(lambda _: None)).network.state_dict())


@pytest.fixture(scope="module")
def usual(teach: Callable[[Hyperparameters], Weights]) -> Weights:
    """The weights that nothing was changed for."""
    return teach(SHORT)


def test_every_knob_is_tried() -> None:
    """A knob that is added to the spec needs a line here."""
    assert CHANGES.keys() | NOT_ABOUT_STEPS == Hyperparameters.model_fields.keys()


def test_nothing_changed_changes_nothing(teach: Callable[[Hyperparameters], Weights], usual: Weights) -> None:
    """The lesson is repeatable, so that a difference is the knob's."""
    assert all(torch.equal(weight, usual[name]) for name, weight in teach(SHORT).items())


@pytest.mark.parametrize("knob", CHANGES)
def test_a_knob_changes_what_is_learnt(
    teach: Callable[[Hyperparameters], Weights], usual: Weights, knob: str
) -> None:
    """Turning one knob alone gives other weights."""
    weights = teach(SHORT.model_copy(update={knob: CHANGES[knob]}))
    assert any(not torch.equal(weight, usual[name]) for name, weight in weights.items())


def test_random_layers_are_not_held_where_they_are(make_lesson: Callable[[Hyperparameters], Lesson]) -> None:
    """What keeps a base near what it has learnt has no effect on the network that the gain is measured against."""
    held = {"layer_decay": 0.5, "frozen_layers": 1, "freeze_embeddings": True, "unfreezing_share": 0.5}
    free, other = (
        teach_from_scratch(
            make_lesson(SHORT.model_copy(update=knobs)), Driver(lambda _: None)
        ).network.state_dict()
        for knobs in ({}, held)
    )
    assert all(torch.equal(weight, other[name]) for name, weight in free.items())


def test_matrices_decay_and_biases_do_not() -> None:
    """Weight decay is for what has two dimensions: without any gradient it alone moves weights."""
    layer = nn.Linear(3, 2)
    before = {name: weight.clone() for name, weight in layer.state_dict().items()}
    optimisation = Optimisation([Group(list(layer.parameters()), 0.25)], DECAYING, 10)
    for each in layer.parameters():
        each.grad = torch.zeros_like(each)
    optimisation.step(0.0, 1)
    after = layer.state_dict()
    torch.testing.assert_close(after["weight"], before["weight"] * (1 - 0.25 * 0.125))
    assert torch.equal(after["bias"], before["bias"])


def test_gradients_are_clipped() -> None:
    """However steep the loss, the gradient of a step has a norm of one at most."""
    layer = nn.Linear(4, 1)
    (1e4 * layer(torch.ones(1, 4)).sum()).backward()
    Optimisation([Group(list(layer.parameters()), 0.1)], FAST, 10).step(1.0, 1)
    norm = torch.cat([each.grad.flatten() for each in layer.parameters() if each.grad is not None]).norm()
    assert norm.item() == pytest.approx(1.0, rel=1e-3)


def test_rounding_is_not_made_large() -> None:
    """Vectors that differ by rounding alone, of texts that are all one to a base, are told apart by no frozen head."""
    noise = torch.tensor([[1.0, -2.0, 3.0]]) + 1e-7 * torch.randn(20, 3)
    head = DeepHead(3, 2, dropout=0.0, vectors=noise).eval()
    assert head(noise).std(dim=0).max() < 1e-3
    spread = torch.randn(20, 3)
    assert DeepHead(3, 2, dropout=0.0, vectors=spread).scale.item() == pytest.approx(
        1 / spread.std(dim=0).mean().item()
    )
