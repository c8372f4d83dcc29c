"""The sample data that the demo trains on."""

from collections import Counter
from pathlib import Path

import pytest

import services.cli
from shared.data.readers import read_rows
from shared.data.rows import Row
from shared.data.splits import assign_splits, check_dataset

SAMPLES = Path(services.cli.__file__).parent / "samples"


def read(name: str, task) -> list[Row]:
    rows, problems = read_rows(name, (SAMPLES / name).read_bytes(), task)
    assert problems == []
    return rows


@pytest.fixture(scope="module")
def intents() -> list[Row]:
    return read("support-intents.jsonl", "classification")


@pytest.fixture(scope="module")
def entities() -> list[Row]:
    return read("support-entities.jsonl", "entities")


def test_both_sets_are_usable_as_they_are(intents, entities):
    """No row and no split has a problem."""
    assert check_dataset(assign_splits(intents), "classification") == []
    assert check_dataset(assign_splits(entities), "entities") == []


def test_every_label_is_in_every_split(intents, entities):
    """The demo's own data brings no caution."""
    for rows in (intents, entities):
        splits = assign_splits(rows)
        labels = {label for row in rows for label in row.labels}
        assert {
            name: {label for row in splits[name] for label in row.labels} for name in splits
        } == dict.fromkeys(splits, labels)


def test_intents_are_balanced(intents):
    """Twelve intents, each with 45 or 46 messages."""
    counts = Counter(row.label for row in intents)

    assert len(counts) == 12
    assert set(counts.values()) <= {45, 46}


def test_no_message_occurs_twice(intents, entities):
    """Not even with other capitals, punctuation or spacing."""
    for rows in (intents, entities):
        plain = Counter("".join(c for c in row.text.lower() if c.isalnum()) for row in rows)
        assert [text for text, count in plain.items() if text and count > 1] == []


def test_messages_vary(intents, entities):
    """Short and long ones, non-ASCII ones, and texts without any entity."""
    for rows in (intents, entities):
        lengths = [len(row.text.split()) for row in rows]
        assert min(lengths) <= 2
        assert max(lengths) >= 30
        assert sum(not row.text.isascii() for row in rows) >= 20
    assert 0.05 < sum(not row.entities for row in entities) / len(entities) < 0.2


def test_spans_are_what_their_labels_say(entities):
    """Every span is whole words of its text, and order numbers look like order numbers."""
    labels = Counter()
    for row in entities:
        for span in row.entities or ():
            surface = row.text[span.start : span.end]
            around = row.text[span.start - 1 : span.start] + row.text[span.end : span.end + 1]
            assert not any(character.isalnum() for character in around), surface
            assert (span.label == "order_number") == surface.lower().removeprefix("lk-").isdigit(), surface
            labels[span.label] += 1
    assert set(labels) == {"product", "order_number", "date", "person", "place"}
    assert min(labels.values()) > 100


def test_the_samples_are_small():
    """They travel with every installation."""
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 400_000
