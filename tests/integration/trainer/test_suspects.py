"""Planted wrong labels are suspected: on vectors whose truth is known, on the tiny world, and on real intents."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.train.catalogue import Catalogue
from services.train.trainer.corpus import Corpus
from services.train.trainer.frozen_probe import read_frozen
from services.train.trainer.suspects import find_doubts, find_suspects
from services.train.trainer.transformer import load_encoder
from shared.data.rows import Row, SplitName
from shared.runtime.reader import TextReader
from shared.runtime.tokenizer import TextTokenizer
from tests.integration.trainer.world import name_rows, topic_rows, topic_set_rows

BANKING = Path(__file__).parents[4] / "shared" / "data" / "banking77" / "train.jsonl"


def drawn(rows: int, *, labels: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in a cloud for each label, and the labels."""
    random_ = np.random.default_rng(seed)
    targets = random_.integers(0, labels, rows)
    centres = random_.normal(0, 2, (labels, 16))
    return (centres[targets] + random_.normal(0, 1, (rows, 16))).astype(np.float32), targets


def test_flipped_labels_are_the_most_doubtful() -> None:
    """Of 5 % that were flipped, nine in ten are among the tenth with the lowest scores, each with its true label."""
    vectors, targets = drawn(1000)
    flipped = np.random.default_rng(1).choice(1000, 50, replace=False)
    given = targets.copy()
    given[flipped] = (targets[flipped] + 1) % 5
    doubts = find_doubts(vectors, given, np.arange(1000))
    worst = set(np.argsort(doubts.score)[:100].tolist())
    found = [i for i in flipped.tolist() if i in worst]
    assert len(found) >= 45
    assert np.mean(doubts.other[found] == targets[found]) > 0.9


def test_of_several_labels_the_one_that_was_turned_round_is_named() -> None:
    """A label that was taken away, and one that was added, both are told by the label that is doubted."""
    random_ = np.random.default_rng(2)
    vectors = random_.normal(0, 1, (800, 6)).astype(np.float32)
    present = (vectors[:, :3] > 0.3).astype(np.int64)
    wrong = {
        int(row): int(label) for row, label in zip(range(0, 800, 20), random_.integers(0, 3, 40), strict=True)
    }
    given = present.copy()
    for row, label in wrong.items():
        given[row, label] ^= 1
    doubts = find_doubts(vectors, given, np.arange(800))
    worst = set(np.argsort(doubts.score)[:80].tolist())
    found = [row for row in wrong if row in worst]
    assert len(found) >= 30
    assert np.mean([doubts.other[row] == wrong[row] for row in found]) > 0.9


def test_a_copy_of_a_row_does_not_vouch_for_it() -> None:
    """Rows of one text are in one fold: a wrong label that stands there twice is doubted as if it stood there once."""
    vectors, targets = drawn(400)
    given = targets.copy()
    given[0] = (targets[0] + 1) % 5
    vectors, given = np.vstack([vectors, vectors[:1]]), np.append(given, given[0])
    groups = np.append(np.arange(400), 0)
    assert find_doubts(vectors, given, groups).confidence[0] < 0.3


def test_a_label_with_hardly_any_rows_is_not_doubted() -> None:
    """A probe that was shown none of its rows knows nothing of it."""
    vectors, targets = drawn(300)
    targets[:3] = 5
    assert np.isinf(find_doubts(vectors, targets, np.arange(300)).score[:3]).all()


def suspects_of(
    rows: Sequence[Row], task: str, base: Path
) -> Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """By the place of each suspect row: the labels that it has, and those that are suggested."""
    splits: dict[SplitName, list[Row]] = {"train": list(rows), "validation": [], "test": []}
    corpus = Corpus(task, tuple(sorted({label for row in rows for label in row.labels})), splits)
    reader = TextReader(TextTokenizer(base / "tokenizer.json"), task, 64, 16)
    encoded = reader.encode([row.text for row in rows])
    reading = "each-token" if task == "entities" else "pooled"
    pad_id = reader.tokenizer.pad_id
    train = read_frozen(rows, encoded, corpus.labels, load_encoder(base), reading, pad_id)
    found = find_suspects(corpus, encoded, train)
    assert len(found) <= len(rows) // 10
    return {each.place: (each.labels, each.suggested_labels) for each in found}


def test_a_flipped_label_of_a_text_is_suspected(tiny_base: Path) -> None:
    """The tiny world: every flipped row is named, with the label that it has; a row with an id by that."""
    rows = topic_rows(240, 1)
    labels = sorted({row.label or "" for row in rows})
    flipped = {i: labels[(labels.index(rows[i].label or "") + 1) % len(labels)] for i in (20, 77, 140)}
    wrong = [
        replace(row, label=flipped.get(i, row.label), id="mine" if i == 77 else "")
        for i, row in enumerate(rows)
    ]
    found = suspects_of(wrong, "classification", tiny_base)
    for i in flipped:
        name = "mine" if i == 77 else f"train:{i + 1}"
        assert found[name][0] == (flipped[i],)


def test_a_label_that_is_missing_among_several_is_suspected(tiny_base: Path) -> None:
    """The suggestion is the row's labels with the one that was taken away."""
    rows = topic_set_rows(400, 1)
    chosen = next(i for i, row in enumerate(rows) if len(row.labels) == 2)
    wrong = [replace(row, label_set=row.labels[:1]) if i == chosen else row for i, row in enumerate(rows)]
    found = suspects_of(wrong, "multi-label", tiny_base)
    assert found[f"train:{chosen + 1}"] == (rows[chosen].labels[:1], rows[chosen].labels)


def test_a_mention_with_another_label_is_suspected_at_its_word(tiny_base: Path) -> None:
    """Entities: the row is named, and where in it the doubtful word is."""
    rows = name_rows(240, 1)
    (span,) = rows[30].entities or ()
    labels = sorted({each.label for row in rows for each in row.entities or ()})
    other = next(label for label in labels if label != span.label)
    wrong = [
        replace(row, entities=(replace(span, label=other),)) if i == 30 else row for i, row in enumerate(rows)
    ]
    found = suspects_of(wrong, "entities", tiny_base)
    assert found["train:31"] == ((other,), (span.label,))


@pytest.mark.slow
@pytest.mark.skipif(not BANKING.exists(), reason="the real data sets are not beside the checkout")
def test_flipped_real_intents_are_suspected() -> None:
    """Eight intents of BANKING77, 5 % of their rows flipped among them: at least 70 % of these are among the tenth that is named."""
    lines = [json.loads(line) for line in BANKING.read_text("utf-8").splitlines()]
    labels = sorted({line["label"] for line in lines})[:8]
    rows = [Row(line["text"], label=line["label"]) for line in lines if line["label"] in labels]
    dice = random.Random(5)  # noqa: S311 - which rows are flipped
    flipped = set(dice.sample(range(len(rows)), len(rows) // 20))
    wrong = [
        replace(row, label=dice.choice([label for label in labels if label != row.label]))
        if i in flipped
        else row
        for i, row in enumerate(rows)
    ]
    base = Catalogue(None).find("all-minilm-l6-v2").folder
    assert base is not None
    found = suspects_of(wrong, "classification", base)
    hits = [i for i in flipped if f"train:{i + 1}" in found]
    assert len(hits) >= 0.7 * len(flipped)
    mended = sum(found[f"train:{i + 1}"][1] == (rows[i].label,) for i in hits)
    assert mended > 0.7 * len(hits)
