"""The network from scratch: it reads as torch's own does, passes the same gate, and is served by the same code."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from services.train.spec import Cell, RecurrentShape
from services.train.trainer import recurrent
from services.train.trainer.export import export
from services.train.trainer.network import LinearHead, Network
from services.train.trainer.recurrent import RecurrentEncoder
from services.train.trainer.vocabulary import learn_tokenizer
from shared.runtime.tokenizer import TextTokenizer
from shared.store.manifest import Task
from tests.integration.trainer.test_gate import failed_checks, with_graph
from tests.integration.trainer.world import FAST, Outcome, Workplace

SHAPE = RecurrentShape(cell="gru", layers=1, width=16, embedding_width=12, vocabulary_size=400)
Scratch = Callable[[Task, Cell], Outcome]


@pytest.fixture(scope="module")
def from_scratch(workplace: Workplace) -> Scratch:
    """`from_scratch(task, cell)`: a job of rnn-classifier on the usual rows."""

    @cache
    def carry_out(task: Task, cell: Cell) -> Outcome:
        shape = SHAPE.model_copy(update={"cell": cell, "layers": 2 if cell == "lstm" else 1})
        chosen = FAST.model_copy(
            update={"recurrent": shape, "encoder_learning_rate": 1e-2, "max_epochs": 12, "dropout": 0.0}
        )
        return workplace.train(workplace.assign(None, task, adaptable=True, hyperparameters=chosen))

    return carry_out


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("cell", "oracle"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_it_reads_as_packed_sequences_do(cell: Cell, oracle: type[nn.RNNBase], layers: int) -> None:
    """Over texts of several lengths, hidden states are those of torch's bidirectional network on packed sequences."""
    torch.manual_seed(1)
    shape = SHAPE.model_copy(update={"cell": cell, "layers": layers})
    encoder = RecurrentEncoder(shape, vocabulary_size=50, dropout=0.5).eval()
    theirs = oracle(12, 16, num_layers=layers, bidirectional=True, batch_first=True).eval()
    weights = dict(theirs.named_parameters())
    for layer, pair in enumerate(zip(encoder.forwards, encoder.backwards, strict=True)):
        for mine, suffix in zip(pair, ("", "_reverse"), strict=True):
            for name, weight in mine.named_parameters():
                weights[name.removesuffix("0") + f"{layer}{suffix}"].data.copy_(weight.data)

    lengths = torch.tensor([1, 2, 5, 9, 7])
    ids = torch.randint(1, 50, (5, 9))
    mask = (torch.arange(9) < lengths.unsqueeze(1)).long()
    with torch.inference_mode():
        hidden, pooled = encoder(ids * mask, mask)
        packed = pack_padded_sequence(
            encoder.embeddings(ids), lengths, batch_first=True, enforce_sorted=False
        )
        expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    torch.testing.assert_close(hidden * mask.unsqueeze(-1), expected)
    torch.testing.assert_close(pooled, expected.sum(dim=1) / lengths.unsqueeze(-1))


@pytest.mark.parametrize(
    ("task", "cell"), [("classification", "gru"), ("classification", "lstm"), ("multi-label", "gru")]
)
def test_it_learns_passes_the_gate_and_is_served(
    task: Task, cell: Cell, from_scratch: Scratch, workplace: Workplace
) -> None:
    """Published with no base, it answers unseen texts, long and foreign ones among them, as the torch network decides them."""
    outcome = from_scratch(task, cell)
    manifest = outcome.manifest
    assert (manifest.state, manifest.lineage.base_model) == ("published", None)
    assert (
        manifest.evaluations["fp32"]["test"].metrics[{"classification": "accuracy"}.get(task, "micro_f1")]
        > 0.8
    )
    lengths = next(check for check in manifest.gate_checks if check.name == "fp32.lengths")
    assert lengths.detail.endswith(f"from 1 to {FAST.max_tokens} tokens")

    long = " ".join(each.encoded.text for each in outcome.judgements)
    texts = ["my card please", long, "Zürich 日本語 नमस्ते 😀", "!"]
    judgements = [
        outcome.reference.judge(each, manifest.decoding) for each in outcome.reference.compute(texts)
    ]
    answers = workplace.load(manifest).answer(texts)
    assert len(judgements[1].encoded.windows) > 3
    for judgement, answer in zip(judgements, answers, strict=True):
        given = {each.label for each in answer if each.is_given}  # type: ignore[union-attr]
        assert given == judgement.decision or judgement.margin < 1e-3


@pytest.mark.parametrize(
    ("knob", "value"), [("cell", "lstm"), ("layers", 2), ("width", 24), ("embedding_width", 24)]
)
def test_every_knob_of_the_shape_makes_another_network(knob: str, value: int | str) -> None:
    """Other weights, in number or size."""

    def sizes(shape: RecurrentShape) -> list[torch.Size]:
        return [each.shape for each in RecurrentEncoder(shape, vocabulary_size=50, dropout=0.0).parameters()]

    assert sizes(SHAPE.model_copy(update={knob: value})) != sizes(SHAPE)


def test_the_same_job_gives_the_same_files(from_scratch: Scratch, workplace: Workplace) -> None:
    """Vocabulary, weights and graph are drawn from the rows and the seed alone."""
    one = from_scratch("classification", "gru").manifest
    spec = one.lineage.spec["hyperparameters"]
    again = workplace.train(
        workplace.assign(
            None, "classification", adaptable=True, hyperparameters=type(FAST).model_validate(spec)
        )
    ).manifest
    assert again.files == one.files


def test_the_gate_refuses_a_graph_that_reads_padding_backwards(from_scratch: Scratch, tmp_path: Path) -> None:
    """The export that goes wrong most easily: the whole row is turned round, so that padding comes before the text."""

    def whole_row(attention_mask: Tensor) -> Tensor:
        places = torch.arange(attention_mask.shape[1]).unsqueeze(0)
        return (attention_mask.shape[1] - 1 - places).expand_as(attention_mask)

    outcome = from_scratch("classification", "gru")
    with mock.patch.object(recurrent, "_reversal", whole_row):
        graphs = export(outcome.reference.network, tmp_path, adaptable=True)
    failed = failed_checks(outcome, with_graph(outcome.candidate, "model", graphs["model"]))
    assert {"fp32.padding", "fp32.batching"} <= failed
    assert "fp32.lengths" not in failed  # alone, without padding, every window is right


@pytest.mark.parametrize(("layer_dropout", "head_dropout"), [(0.5, 0.0), (0.0, 0.5)])
def test_dropout_is_before_the_layers_and_before_the_head(layer_dropout: float, head_dropout: float) -> None:
    """Of each alone: in train mode two passes differ, in eval mode they do not."""
    network = Network(
        RecurrentEncoder(SHAPE, vocabulary_size=50, dropout=layer_dropout),
        LinearHead(32, 3, dropout=head_dropout),
        "pooled",
    )
    ids, mask = torch.ones(2, 4, dtype=torch.long), torch.ones(2, 4, dtype=torch.long)
    assert not torch.equal(network(ids, mask), network(ids, mask))
    network.eval()
    assert torch.equal(network(ids, mask), network(ids, mask))


def test_dropout_is_before_every_layer() -> None:
    """Half of what the second of two layers reads is nought in train mode."""
    encoder = RecurrentEncoder(SHAPE.model_copy(update={"layers": 2}), vocabulary_size=50, dropout=0.5)
    read: list[Tensor] = []
    for layer in encoder.forwards:
        layer.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0]))
    encoder(torch.arange(40).reshape(4, 10), torch.ones(4, 10, dtype=torch.long))
    assert [0.3 < float((states == 0).float().mean()) < 0.7 for states in read] == [True, True]


def test_a_learnt_tokenizer_cuts_every_text(tmp_path: Path) -> None:
    """Scripts that were never seen, and no text at all, become tokens without an unknown one; the file holds no presets."""
    texts = ["refund my card", "refund the card", "where is my parcel"] * 3
    size = learn_tokenizer(texts, tmp_path / "tokenizer.json", vocabulary_size=300)
    assert size <= 300
    assert learn_tokenizer(texts, tmp_path / "smaller.json", vocabulary_size=262) == 262 < size
    tokenizer = TextTokenizer(tmp_path / "tokenizer.json")
    assert (tokenizer.prefix, tokenizer.suffix, tokenizer.pad_id) == ((), (), 0)
    known, foreign, spaced, pad = tokenizer.encode(["REFUND", "日本 😀", " ", "[PAD]"])
    assert len(known.ids) < len("refund")
    assert all(len(each.ids) for each in (foreign, spaced, pad))
    assert 0 not in pad.ids  # a text that spells it out is not padding
