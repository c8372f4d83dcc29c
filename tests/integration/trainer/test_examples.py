"""What the model is taught: targets in the windows, and at the tokens, that serving reads."""

from pathlib import Path

import numpy as np
import pytest
import torch

from services.train.trainer.batching import training_batches
from services.train.trainer.examples import make_examples
from services.train.trainer.objective import Objective
from shared.data.rows import Row, Span
from shared.runtime.entities import extract_spans
from shared.runtime.reader import TextReader
from shared.runtime.tokenizer import TextTokenizer
from tests.integration.trainer.world import FAST, name_rows
from tests.tiny import ENTITIES_LABELS, tiny_tokenizer


@pytest.fixture
def tokenizer(tmp_path: Path) -> TextTokenizer:
    """The tiny world's."""
    return TextTokenizer(tiny_tokenizer(tmp_path))


def decoded(row: Row, reader: TextReader) -> list[tuple[int, int, str]]:
    """The spans that a network would be answered with that has learnt the row's targets perfectly."""
    (text,) = reader.encode([row.text])
    (examples,) = make_examples([row], [text], ENTITIES_LABELS)
    logits = []
    for example in examples:
        window = np.zeros((example.window.token_count, 2 * len(ENTITIES_LABELS) + 1), dtype=np.float32)
        window[example.rows, example.targets] = 9
        logits.append(window)
    assert text.units is not None
    return [
        (e.start, e.end, e.label) for e in extract_spans(ENTITIES_LABELS, text.units, text.windows, logits)
    ]


@pytest.mark.parametrize("max_tokens", [8, 16, 128])
def test_a_network_that_learns_the_targets_answers_the_spans(
    max_tokens: int, tokenizer: TextTokenizer
) -> None:
    """Targets, decoded as serving decodes, give the row's spans back, however the text is cut into windows."""
    reader = TextReader(tokenizer, "entities", max_tokens, max_tokens // 4)
    for row in name_rows(30, seed=4):
        long = Row(f"{row.text} and we met {row.text}", entities=row.entities)
        assert decoded(row, reader) == [(s.start, s.end, s.label) for s in row.entities or ()]
        assert decoded(long, reader) == [(s.start, s.end, s.label) for s in row.entities or ()]


def test_neighbouring_entities_of_one_label_stay_two(tokenizer: TextTokenizer) -> None:
    """Two mentions side by side are not taught as one."""
    reader = TextReader(tokenizer, "entities", 64, 16)
    row = Row("Ada Grace", entities=(Span(0, 3, "person"), Span(4, 9, "person")))
    assert decoded(row, reader) == [(0, 3, "person"), (4, 9, "person")]


def test_each_unit_is_taught_once(tokenizer: TextTokenizer) -> None:
    """Where windows overlap, a unit is a target in the one window that serving reads it from."""
    reader = TextReader(tokenizer, "entities", 12, 4)
    (text,) = reader.encode(["we met ada " * 20])
    (examples,) = make_examples([Row(text.text, entities=())], [text], ENTITIES_LABELS)
    assert len(examples) > 5
    assert text.units is not None
    assert sum(len(example.targets) for example in examples) == len(text.units) == 60


def test_a_long_text_counts_as_one_example(tokenizer: TextTokenizer) -> None:
    """The windows of a classified text share its weight by their content tokens, as serving averages them."""
    reader = TextReader(tokenizer, "classification", 12, 4)
    (text,) = reader.encode(["my card " * 17])
    (examples,) = make_examples([Row(text.text, label="person")], [text], ENTITIES_LABELS)
    contents = np.array([window.content_count for window in text.windows])
    assert len(examples) > 3
    assert [example.targets.tolist() for example in examples] == [[0]] * len(examples)
    np.testing.assert_allclose([example.weight for example in examples], contents / contents.sum())


def test_a_long_text_pulls_as_hard_as_a_short_one(tokenizer: TextTokenizer) -> None:
    """Over an epoch of length-sorted batches each text has the same share of the gradient, however many windows it has."""
    reader = TextReader(tokenizer, "classification", 12, 4)
    texts = ["my card"] * 40 + ["my card " * 30] * 8
    encoded = reader.encode(texts)
    of_text = make_examples([Row(text, label="person") for text in texts], encoded, ENTITIES_LABELS)
    examples = [(i, example) for i, examples in enumerate(of_text) for example in examples]
    objective = Objective([example for _, example in examples], len(ENTITIES_LABELS), FAST)
    pull = np.zeros(len(texts))
    lengths = [example.window.token_count for _, example in examples]
    for batch in training_batches(lengths, 8, np.random.default_rng(0)):
        logits = torch.zeros(len(batch), len(ENTITIES_LABELS), requires_grad=True)
        chosen = [examples[i] for i in batch]
        objective.loss(logits, [example for _, example in chosen], target_count=len(chosen)).backward()
        assert logits.grad is not None
        for (text, _), gradient in zip(chosen, logits.grad.abs().sum(dim=1).tolist(), strict=True):
            pull[text] += gradient
    assert len(of_text[-1]) > 5
    np.testing.assert_allclose(pull, pull[0], rtol=0.02)
