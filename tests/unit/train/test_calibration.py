"""Temperatures and the score below which nothing is answered, on scores whose truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.train.trainer.calibration import (
    choose_unknown_below,
    fit_temperature,
    negative_log_likelihood,
)
from shared.scoring.calibration import calibration_error, reliability
from shared.store.manifest import FEWEST_CALIBRATED_ROWS


def drawn(temperature: float, *, rows: int = 20_000, outputs: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too sure by `temperature`, and targets drawn from what they should say."""
    random = np.random.default_rng(3)
    honest = random.normal(0, 1.5, (rows, outputs))
    shares = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    targets = (random.uniform(size=(rows, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    return temperature * honest, np.minimum(targets, outputs - 1)


def test_as_many_rows_as_are_asked_for_are_enough() -> None:
    """Of honest logits they leave nearly what was there; a tenth of them would call for scores that are far too low."""
    logits, targets = drawn(1.0)

    def fitted(rows: int) -> list[float]:
        starts = range(0, 50 * rows, rows)
        return [fit_temperature(logits[at : at + rows], targets[at : at + rows]) for at in starts]

    enough, few = fitted(FEWEST_CALIBRATED_ROWS), fitted(FEWEST_CALIBRATED_ROWS // 10)
    assert 0.9 < np.median(enough) < 1.2
    assert 0.75 < np.quantile(enough, 0.05) < np.quantile(enough, 0.95) < 1.45
    assert np.quantile(few, 0.95) > 1.9


@pytest.mark.parametrize("temperature", [0.1, 0.4, 1.0, 3.0, 10.0])
def test_the_temperature_that_was_put_in_is_found(temperature: float) -> None:
    """And with it the scores mean what they say."""
    logits, targets = drawn(temperature)
    found = fit_temperature(logits, targets)
    assert found == pytest.approx(temperature, rel=0.05)
    scaled = np.exp(logits / found)
    scores = (scaled / scaled.sum(axis=1, keepdims=True)).max(axis=1)
    bins = reliability(scores, logits.argmax(axis=1) == targets)
    assert calibration_error(bins) < 0.01


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_labels_that_stand_for_themselves_have_one_temperature(temperature: float) -> None:
    """The same for several labels a text."""
    random = np.random.default_rng(4)
    honest = random.normal(0, 2, (20_000, 3))
    present = random.uniform(size=honest.shape) < 1 / (1 + np.exp(-honest))
    assert fit_temperature(temperature * honest, present) == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("rows", [8, 800])
def test_a_small_split_that_is_all_right_does_not_make_scores_of_one(rows: int, several: bool) -> None:
    """They are as sure as so many rows can make them, and surer with more; also where labels stand for themselves."""
    targets: np.ndarray = np.arange(rows) % 2
    logits = np.where(np.eye(2)[targets] == 1, 5.0, 0.0)
    if several:
        targets = np.eye(2)[targets] == 1
        logits = np.where(targets, 5.0, -5.0)
    scaled = logits / fit_temperature(logits, targets)
    score = np.exp(-negative_log_likelihood(scaled, targets))
    assert score == pytest.approx(1 - 0.5 / (rows + 1), abs=0.5 / rows / 20)


SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30), SCORES, st.floats(0, 0.5)
)
def test_no_more_is_refused_than_may_be(
    in_scope: list[tuple[float, bool]], out_of_scope: list[float], most: float
) -> None:
    """Of rows in scope that would be answered rightly."""
    scores, right = np.array([s for s, _ in in_scope]), np.array([r for _, r in in_scope])
    found = choose_unknown_below(scores, right, np.array(out_of_scope), most_refused_share=most)
    assert 0 <= found <= 1
    assert (right & (scores < found)).mean() <= most


def test_what_can_be_told_apart_is() -> None:
    """Half-way between the surest text out of scope and the least sure one in scope."""
    found = choose_unknown_below(
        np.array([0.7, 0.8, 0.9]), np.array([True] * 3), np.array([0.2, 0.5]), most_refused_share=0.0
    )
    assert found == pytest.approx(0.6)


def test_wrong_answers_are_no_loss() -> None:
    """A row in scope that is answered wrongly may be refused for nothing."""
    scores, right = np.array([0.4, 0.9]), np.array([False, True])
    found = choose_unknown_below(scores, right, np.array([0.5]), most_refused_share=0.0)
    assert 0.5 < found < 0.9


def test_a_stray_is_not_refused_at_the_price_of_many_right_answers() -> None:
    """Though so many might be: one more of ten is not worth five of ten."""
    in_scope, out_of_scope = np.array([0.5] * 5 + [0.9] * 5), np.array([0.2] * 9 + [0.6])
    found = choose_unknown_below(in_scope, np.array([True] * 10), out_of_scope, most_refused_share=0.5)
    assert found == pytest.approx(0.35)
