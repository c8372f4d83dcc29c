"""Label scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.classification import pool_windows, rank_label_set, rank_labels
from shared.runtime.windows import Window

logits_lists = st.lists(st.floats(-80, 80, width=32), min_size=1, max_size=30)


@given(logits_lists, st.floats(0.1, 10))
def test_scores_are_probabilities_by_falling_score(values: list[float], temperature: float) -> None:
    """All labels come back once, scores fall and sum to 1, and follow the logits."""
    labels = [f"l{i}" for i in range(len(values))]
    (ranked,) = rank_labels(
        labels, np.array([values], np.float32), temperature=temperature, unknown_below=None
    )
    scores = [score.score for score in ranked]
    assert sorted(score.label for score in ranked) == sorted(labels)
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)
    assert values[labels.index(ranked[0].label)] == pytest.approx(max(values))


def test_ties_keep_the_order_of_the_labels() -> None:
    """Equal scores come in the order of the logits, so that answers never depend on sorting."""
    (ranked,) = rank_labels(
        ["z", "a", "m", "b"], np.array([[1, 2, 1, 2]], np.float32), temperature=1, unknown_below=None
    )
    assert [score.label for score in ranked] == ["a", "b", "z", "m"]


def test_temperature_divides_the_logits() -> None:
    """At temperature 2, logits 2 and 0 score as 1 and 0 do at 1."""
    ((first, _),) = rank_labels(["a", "b"], np.array([[2, 0]], np.float32), temperature=2, unknown_below=None)
    assert first.score == pytest.approx(1 / (1 + np.exp(-1)))


def test_windows_weigh_by_their_content() -> None:
    """A window of 30 content tokens counts three times as much as one of 10; special tokens count for nothing."""
    ids = np.zeros(32, np.int64)
    windows = [Window(ids, 0, 30, 1), Window(ids[:12], 20, 30, 1)]
    pooled = pool_windows(windows, [np.array([4, 0], np.float32), np.array([0, 4], np.float32)])
    assert pooled.tolist() == [3, 1]


def test_one_window_is_taken_as_it_is() -> None:
    """A text without any token has a window of weight 0 and still an answer."""
    pooled = pool_windows([Window(np.zeros(2, np.int64), 0, 0, 1)], [np.array([1, 2], np.float32)])
    assert pooled.tolist() == [1, 2]


@pytest.mark.parametrize(("unknown_below", "given"), [(None, True), (0.7, True), (0.74, False)])
def test_a_best_score_that_is_too_low_is_no_answer(unknown_below: float | None, given: bool) -> None:
    """The scores stay as they are; what changes is that the best one is not given. Nothing else ever is."""
    logits = np.array([[1.0, 0.0]], np.float32)
    ((first, second),) = rank_labels(["a", "b"], logits, temperature=1, unknown_below=unknown_below)
    assert (first.label, first.is_given, second.is_given) == ("a", given, False)
    assert first.score == pytest.approx(0.731, abs=0.001)


def test_several_labels_have_a_temperature_too() -> None:
    """Scores move towards one half, and with them what is given."""
    logits = np.array([[2.0, -2.0]], np.float32)
    ((first, _),) = rank_label_set(["a", "b"], logits, temperature=4, thresholds=[0.7, 0.7])
    assert first.score == pytest.approx(0.622, abs=0.001)
    assert not first.is_given
