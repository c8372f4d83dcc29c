"""What the model is taught: targets in the windows, and at the tokens, that serving reads."""

from pathlib import Path

import numpy as np
import pytest

from services.train.trainer.examples import TextReader, make_examples
from shared.data.rows import Row, Span
from shared.runtime.entities import extract_spans
from shared.runtime.model import Model
from shared.runtime.tokenizer import TextTokenizer
from shared.store.manifest import Task
from tests.integration.trainer.world import name_rows
from tests.tiny import ENTITIES_LABELS, tiny_manifest, tiny_tokenizer


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


@pytest.mark.parametrize("task", ["classification", "entities"])
def test_training_reads_texts_as_serving_does(task: Task, tmp_path: Path) -> None:
    """The reader's windows and units are those of a loaded model with the same tokenizer and lengths."""
    manifest, paths = tiny_manifest(tmp_path, task, max_tokens=16, stride_tokens=4)
    model = Model.load(manifest, lambda file: paths[file.digest])
    reader = TextReader(TextTokenizer(tmp_path / "tokenizer.json"), task, 16, 4)
    texts = ["we met Ada Lovelace in Paris", "", "日本 [SEP] e\u0301 👩‍🚀", "my card is charged " * 30]
    for mine, theirs in zip(reader.encode(texts), model.encode(texts), strict=True):
        assert [w.token_ids.tolist() for w in mine.windows] == [w.token_ids.tolist() for w in theirs.windows]
        assert getattr(mine.units, "spans", None) == getattr(theirs.units, "spans", None)
        assert (mine.units is None) == (task == "classification")
