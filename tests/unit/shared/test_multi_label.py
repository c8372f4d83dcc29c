"""Several labels for a text: rows, scores, and which labels are given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from shared.data.readers import read_rows
from shared.data.rows import Row, check_row
from shared.errors import Problem
from shared.runtime.classification import rank_label_set, sigmoid
from shared.scoring.labels import score_multi_label
from shared.store.datasets import DatasetStore
from shared.store.memory import MemoryStore

LABELS = ("a", "b", "c")
SETS = st.lists(st.frozensets(st.sampled_from(LABELS)), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"text": "x", "labels": ["b", "a"]}\n{"text": "y", "labels": []}\n'),
        ("a.jsonl", '{"text": "x", "label": ["b", "a"]}\n{"text": "y", "label": []}\n'),  # doccano
        ("a.csv", 'text,labels\nx,"[""b"", ""a""]"\ny,\n'),
        ("a.csv", "text,labels\nx,b; a\ny,\n"),
        ("a.csv", "text,labels\nx,b;a;b\ny,\n"),  # two annotators
        ("a.tsv", "labels\ttext\na;b\tx\n\ty\n"),
    ],
)
def test_label_sets_are_read(name, content):
    """A list, or a cell with a list or with semicolons; none is a set too."""
    assert read_rows(name, content.encode(), "multi-label") == (
        [Row("x", label_set=("a", "b")), Row("y", label_set=())],
        [],
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"text": "x"}', "has no field `labels`"),
        ('{"text": "x", "labels": null}', "field `labels` is not a list of strings"),
        ('{"text": "x", "labels": ["a", 7]}', "field `labels` is not a list of strings"),
        ('{"text": "x", "labels": ["a", ""]}', "the label is empty"),
    ],
)
def test_broken_label_sets_are_described(line, expected):
    """A missing list is told from an empty one."""
    assert read_rows("a.jsonl", line.encode(), "multi-label")[1] == [Problem("a.jsonl:1", expected)]


def test_a_single_label_is_no_set():
    """A row of another task is refused, not reinterpreted."""
    assert check_row(Row("x", label="a"), "multi-label", where="a:1") == [
        Problem("a:1", "has no labels; a text without any has an empty list")
    ]


def test_label_sets_are_stored():
    """Rows come back from the store as they went in, the empty set too."""
    datasets = DatasetStore(MemoryStore())
    rows = [Row("x", label_set=("a", "b"), split="train"), Row("y", label_set=(), split="train")]
    snapshot = datasets.save("support", "multi-label", {"train": rows})
    assert datasets.rows(snapshot, "train") == rows
    assert snapshot.splits["train"].label_counts == {"a": 1, "b": 1}


@given(SETS, st.data())
def test_scores_are_scikit_learns(true, data):
    """micro F1 is scikit-learn's; so is macro F1 over the labels that occur."""
    answered = data.draw(
        st.lists(st.frozensets(st.sampled_from(LABELS)), min_size=len(true), max_size=len(true))
    )
    metrics = score_multi_label(true, answered, LABELS).metrics
    encode = MultiLabelBinarizer(classes=LABELS).fit(true).transform
    assert metrics["micro_f1"] == pytest.approx(
        f1_score(encode(true), encode(answered), average="micro", zero_division=0)
    )
    seen = [i for i, label in enumerate(LABELS) if any(label in each for each in [*true, *answered])]
    if seen:
        expected = f1_score(encode(true), encode(answered), average=None, zero_division=0)[seen].mean()
        assert metrics["macro_f1"] == pytest.approx(expected)
    assert metrics["subset_accuracy"] == sum(map(frozenset.__eq__, true, answered)) / len(true)


@given(st.lists(st.floats(-700, 700, width=32), min_size=1, max_size=12), st.floats(0.01, 0.99))
def test_labels_are_given_from_their_thresholds_on(values, threshold):
    """Each label is for itself: given if, and only if, its own sigmoid reaches its own threshold; scores fall."""
    logits = np.array(values, np.float32)
    labels = [f"l{i}" for i in range(len(values))]
    (ranked,) = rank_label_set(labels, logits[None], temperature=1.0, thresholds=[threshold] * len(values))
    assert [each.score for each in ranked] == sorted((each.score for each in ranked), reverse=True)
    expected = {
        label: 1 / (1 + np.exp(-np.float64(logit))) for label, logit in zip(labels, logits, strict=True)
    }
    for each in ranked:
        assert each.score == pytest.approx(expected[each.label], abs=1e-12)
        assert each.is_given == (each.score >= threshold)
    assert np.isfinite(sigmoid(logits)).all()
