"""Learning curves of the tiny world, for every task, from texts to points."""

from pathlib import Path

import pytest

from services.train.trainer.corpus import Corpus
from services.train.trainer.frozen_probe import read_frozen
from services.train.trainer.learning_curve import learning_curve
from services.train.trainer.transformer import load_encoder
from shared.runtime.reader import TextReader
from shared.runtime.tokenizer import TextTokenizer
from shared.store.manifest import METRICS, Task
from tests.integration.trainer.world import splits_of


@pytest.mark.parametrize("max_tokens", [32, 8])
@pytest.mark.parametrize("task", ["classification", "multi-label", "entities"])
def test_every_task_has_a_curve(tiny_base: Path, task: Task, max_tokens: int) -> None:
    """More rows teach more in the end than the first share did, texts in several windows too; words that are always a label's are learnt."""
    splits = splits_of(task)
    corpus = Corpus(task, tuple(sorted({label for row in splits["train"] for label in row.labels})), splits)
    tokenizer = TextTokenizer(tiny_base / "tokenizer.json")
    reader = TextReader(tokenizer, task, max_tokens, stride_tokens=max_tokens // 4)
    encoded = {split: reader.encode([row.text for row in rows]) for split, rows in splits.items()}
    assert max_tokens == 32 or max(len(text.windows) for text in encoded["validation"]) > 1
    encoder, reading = load_encoder(tiny_base), "each-token" if task == "entities" else "pooled"
    train, validation = (
        read_frozen(splits[split], encoded[split], corpus.labels, encoder, reading, tokenizer.pad_id)
        for split in ("train", "validation")
    )
    curve = learning_curve(corpus, train, validation, encoded["validation"])
    assert curve.metric_name == METRICS[task]
    assert curve.points[-1].row_count == len(splits["train"])
    assert curve.points[-1].score > curve.points[0].score
    assert curve.points[-1].score > 0.5
    assert learning_curve(corpus, train, validation, encoded["validation"]) == curve
