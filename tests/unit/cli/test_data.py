"""What `tagsmith data import` says of a dataset beside its counts."""

from services.cli.data import cautions


def record(**splits):
    """A snapshot's record; each split is its rows by label."""
    return {
        "labels": sorted(splits["train"]),
        "splits": {
            name: {"row_count": sum(counts.values()), "label_counts": counts}
            for name, counts in splits.items()
        },
    }


def test_a_full_dataset_needs_no_caution():
    """Enough validation rows of every label, and test rows: nothing to say."""
    counts = {"a": 20, "b": 20}
    assert list(cautions(record(train=counts, validation=counts, test=counts))) == []


def test_what_the_splits_cannot_tell_is_said():
    """Few validation rows, labels without one, no test rows: each has its line, with its numbers."""
    few, missing, test = cautions(record(train=dict.fromkeys("abcdefgh", 9), validation={"a": 2}))
    assert "2 validation rows" in few
    assert "7 of 8 labels: b, c, d, e, f, ..." in missing
    assert "no test rows" in test


def test_no_validation_rows_at_all():
    """A dataset without the split is the worst case of few."""
    assert "0 validation rows" in next(cautions(record(train={"a": 1, "b": 1})))
