"""From which score on a label is given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from services.train.trainer.thresholds import FEWEST_POSITIVES, best_threshold, choose_thresholds

COLUMNS = st.lists(
    st.tuples(st.integers(0, 20).map(lambda n: n / 20), st.booleans()), min_size=1, max_size=40
)


@given(COLUMNS)
def test_no_other_threshold_has_a_better_f1(column):
    """The F1 that is told is the one that the threshold gives, and the best that any gives."""
    scores, present = np.array([s for s, _ in column]), np.array([p for _, p in column])
    threshold, f1 = best_threshold(scores, present)
    if 0.01 < threshold < 0.99:
        assert f1 == pytest.approx(f1_score(present, scores >= threshold, zero_division=0))
    every = [f1_score(present, scores >= each, zero_division=0) for each in {*scores.tolist(), 0.0}]
    assert f1 == pytest.approx(max(every))


def test_rare_labels_share_a_threshold():
    """A label with few positive rows does not get a threshold that is fitted to them."""
    random = np.random.default_rng(0)
    scores = random.uniform(0, 1, (200, 3))
    present = scores > [0.3, 0.6, 0.98]
    first, second, rare = choose_thresholds(scores, present)
    assert present[:, 2].sum() < FEWEST_POSITIVES
    assert (first, second) == (pytest.approx(0.3, abs=0.03), pytest.approx(0.6, abs=0.03))
    assert rare == best_threshold(scores, present)[0]


def test_without_any_positive_row_a_label_must_be_probable():
    """There is nothing to fit a threshold to, and one that gives the label to every text would look as good."""
    scores = np.array([[0.2, 0.1], [0.4, 0.3]])
    assert best_threshold(scores, np.zeros((2, 2), dtype=bool)) == (0.5, 0.0)
    assert choose_thresholds(scores, np.zeros((2, 2), dtype=bool)) == (0.5, 0.5)
