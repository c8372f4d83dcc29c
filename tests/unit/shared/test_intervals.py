"""Intervals, slices, calibration and near misses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from scipy.stats import binomtest, bootstrap

from shared.scoring.calibration import calibration_error, reliability, without_temperature
from shared.scoring.intervals import CONFIDENCE, difference, interval
from shared.scoring.outcomes import metric_of, outcomes
from shared.scoring.overlaps import overlap_f1s
from shared.scoring.slices import slice_scores, widest_gap


@dataclass(frozen=True)
class Mention:
    start: int
    end: int
    label: str


def accuracy_rows(right: int, wrong: int) -> np.ndarray:
    """Outcomes of one label a row."""
    return outcomes([{"a"}] * (right + wrong), [{"a"}] * right + [{"b"}] * wrong)


def test_the_metric_of_single_labels_is_accuracy_and_of_sets_micro_f1() -> None:
    """The one formula for all tasks says what each is known by."""
    assert metric_of(accuracy_rows(3, 1).sum(axis=0)) == 0.75
    sets = outcomes([{"a", "b"}, set(), {"c"}], [{"a"}, {"b"}, {"c"}])
    assert metric_of(sets.sum(axis=0)) == pytest.approx(2 * 2 / (3 + 3))
    assert metric_of(outcomes([set()], [set()]).sum(axis=0)) == 0


def set_rows(*counts: tuple[int, int, int]) -> np.ndarray:
    """Outcomes of several labels a row: (right, given, wanted)."""
    return np.array(counts, dtype=np.int64)


@given(st.integers(0, 60), st.integers(0, 60))
def test_of_one_label_a_row_the_interval_is_wilson_s(right: int, wrong: int) -> None:
    """As scipy has it, for few rows and where all are right or wrong too."""
    if not right + wrong:
        return
    theirs = binomtest(right, right + wrong).proportion_ci(CONFIDENCE, method="wilson")
    assert interval(accuracy_rows(right, wrong)) == pytest.approx((theirs.low, theirs.high))


def test_five_rows_that_are_all_right_prove_little() -> None:
    """The bound that textbooks give: 5 of 5 may be a version that is right 57 times in a hundred."""
    assert interval(accuracy_rows(5, 0)) == pytest.approx((0.5655, 1.0), abs=1e-4)


def test_of_several_labels_the_interval_is_the_percentile_bootstrap() -> None:
    """As far from scipy's own as two draws are from each other; around the metric, and narrower with more rows."""
    rows = np.tile(set_rows((2, 2, 2), (1, 2, 1), (0, 1, 2), (1, 1, 1), (0, 0, 1)), (20, 1))
    theirs = bootstrap(
        tuple(rows.T),
        lambda right, given_, wanted, axis: (
            2 * right.sum(axis=axis) / (given_.sum(axis=axis) + wanted.sum(axis=axis))
        ),
        paired=True,
        vectorized=True,
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    low, high = interval(rows)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.015)
    assert low < metric_of(rows.sum(axis=0)) < high
    more_low, more_high = interval(np.tile(rows, (10, 1)))
    assert more_high - more_low < (high - low) / 2


@pytest.mark.parametrize(
    ("row", "bounds"), [((2, 2, 2), (0.7225, 1.0)), ((0, 1, 2), (0.0, 0.2775))], ids=["right", "wrong"]
)
def test_of_several_labels_ten_rows_that_are_alike_are_no_proof(
    row: tuple[int, int, int], bounds: tuple[float, float]
) -> None:
    """Resamples of them cannot vary, so that Wilson says how far chance reaches; rows with nothing to say add nothing, and of fewer nothing is told."""
    silent = set_rows(*[(0, 0, 0)] * 90)
    ten = set_rows(*[row] * 10)
    assert interval(ten) == pytest.approx(bounds, abs=1e-4)
    assert interval(np.concatenate([ten, silent])) == interval(ten)
    assert interval(np.concatenate([ten[1:], silent])) == (0.0, 1.0)


def test_of_fewer_than_ten_rows_of_several_labels_nothing_is_told() -> None:
    """Nine rows that differ, and ten."""
    nine = set_rows(*[(2, 2, 2), (0, 1, 2), (1, 2, 2)] * 3)
    assert interval(nine) == (0.0, 1.0)
    low, high = interval(np.concatenate([nine, nine[:1]]))
    assert 0 < low < high < 1


def test_the_same_answers_have_the_same_interval() -> None:
    """The draw has a seed of its own, and takes nothing from anybody's."""
    rows = np.tile(set_rows((2, 2, 2), (0, 1, 2), (1, 2, 2)), (20, 1))
    np.random.seed(5)
    assert interval(rows) == interval(rows)


def test_an_interval_of_nothing_says_nothing() -> None:
    """No rows, and rows of which nothing was wanted and nothing given: anything may be."""
    assert interval(outcomes([], [])) == (0.0, 1.0)
    assert interval(set_rows(*[(0, 0, 0)] * 50)) == (0.0, 1.0)


def test_a_difference_is_paired() -> None:
    """Ten rows better of a thousand, and none worse, is no chance, though each metric alone is wider than that."""
    true = [{"a"}] * 1000
    champion = [{"a"}] * 880 + [{"b"}] * 120
    challenger = [{"a"}] * 890 + [{"b"}] * 110
    gain, low, high = difference(outcomes(true, challenger), outcomes(true, champion))
    assert gain == pytest.approx(0.01)
    assert 0 < low < gain < high
    own_low, own_high = interval(outcomes(true, champion))
    assert high - low < (own_high - own_low) / 2


def test_of_fewer_than_ten_rows_a_difference_has_no_bounds() -> None:
    """All nine are right, by both: the gain is nought, and may be anything."""
    right = accuracy_rows(10, 0)
    assert difference(right[:9], right[:9]) == (0.0, -1.0, 1.0)
    assert difference(right, right) == (0.0, 0.0, 0.0)


def test_a_difference_of_equals_is_nothing() -> None:
    """A version against itself."""
    rows = accuracy_rows(70, 30)
    assert difference(rows, rows) == (0.0, 0.0, 0.0)


def test_slices_are_scored_apart() -> None:
    """By each value of each column; a row without the column is in none of its slices; one with too many values is left out."""
    rows = np.concatenate([accuracy_rows(8, 2), accuracy_rows(3, 7)])
    columns: list[dict[str, str]] = [{"domain": "card", "row": str(i)} for i in range(10)]
    columns += [{"domain": "loan", "lang": "de"}] * 9 + [{}]
    many = np.tile(rows, (21, 1))
    told = slice_scores(
        many,
        [c | ({"row": f"{k}-{i}"} if "row" in c else {}) for k in range(21) for i, c in enumerate(columns)],
    )
    assert [(each.column, each.value, each.row_count) for each in told] == [
        ("domain", "card", 210),
        ("domain", "loan", 189),
        ("lang", "de", 189),
    ]
    assert told[0].metric == pytest.approx(0.8)
    assert told[1].metric == pytest.approx(3 / 9)
    assert told[0].low < 0.8 < told[0].high
    ((worst, best),) = widest_gap(told, fewest_rows=50).values()
    assert (worst.value, best.value) == ("loan", "card")
    assert widest_gap(told, fewest_rows=200) == {}


def test_calibration_is_guos_measure() -> None:
    """Two bins: a hundred answers at 0.9 of which eight in ten are right, and a hundred at 0.5 that are half right."""
    scores = np.array([0.9] * 100 + [0.5] * 100)
    right = np.array([True] * 80 + [False] * 20 + [True] * 50 + [False] * 50)
    bins = reliability(scores, right)
    assert [(each.count, each.mean_score, each.share_right) for each in bins] == [
        (100, pytest.approx(0.5), 0.5),
        (100, pytest.approx(0.9), 0.8),
    ]
    assert calibration_error(bins) == pytest.approx(0.05)


def test_fifteen_bins_share_the_scores_evenly() -> None:
    """Each begins with the score that ends the one before; 1 is in the last."""
    edges = np.arange(15) / 15
    middles = edges + 1 / 30
    scores = np.sort(np.concatenate([middles, edges + 1e-9, [1.0]]))
    bins = reliability(scores, np.ones(len(scores), dtype=bool))
    assert [each.count for each in bins] == [2] * 14 + [3]
    assert bins[0].mean_score == pytest.approx(1 / 60)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=50))
def test_every_answer_is_in_one_bin(answers: list[tuple[float, bool]]) -> None:
    """Scores of 0 and 1 too."""
    bins = reliability(np.array([s for s, _ in answers]), np.array([r for _, r in answers], dtype=bool))
    assert sum(each.count for each in bins) == len(answers)
    assert 0 <= calibration_error(bins) <= 1


SPANS = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4), st.sampled_from("XY")), max_size=4).map(
    lambda drawn: [Mention(3 * start, 3 * start + 2 * length, label) for start, length, label in drawn]
)


@given(st.lists(st.tuples(SPANS, SPANS), max_size=6))
def test_near_misses_never_count_more_than_mentions(rows: list[tuple[list[Mention], list[Mention]]]) -> None:
    """Both scores are within [0, 1], the same from both sides, and 1 for a version that is right."""
    true, answered = [t for t, _ in rows], [a for _, a in rows]
    there, back = overlap_f1s(true, answered), overlap_f1s(answered, true)
    assert there == pytest.approx(back)
    assert all(0 <= each <= 1 for each in there.values())
    if any(true):
        apart = [_apart(spans) for spans in true]
        assert set(overlap_f1s(apart, apart).values()) == ({1.0} if any(apart) else {0.0})


def _apart(spans: Sequence[Mention]) -> list[Mention]:
    kept: list[Mention] = []
    for span in sorted(spans, key=lambda s: s.start):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def test_near_misses_are_scored_as_the_task_defines() -> None:
    """One exact, one with other edges, one with another label, one missed, one made up."""
    true = [[Mention(0, 4, "X"), Mention(10, 14, "X"), Mention(20, 24, "X"), Mention(30, 34, "X")]]
    answered = [[Mention(0, 4, "X"), Mention(10, 12, "X"), Mention(20, 24, "Y"), Mention(40, 44, "X")]]
    told = overlap_f1s(true, answered)
    assert told["partial_f1"] == pytest.approx(2 * 2.5 / 8)
    assert told["type_f1"] == pytest.approx(2 * 2 / 8)


@given(
    st.lists(st.lists(st.floats(-8, 8), min_size=3, max_size=3), min_size=1, max_size=9), st.floats(0.3, 4)
)
def test_what_a_temperature_did_can_be_undone(rows: list[list[float]], temperature: float) -> None:
    """From the scores alone, of labels that exclude each other and of labels that do not."""
    logits = np.array(rows)
    one = without_temperature(softmax(logits / temperature, axis=1), temperature, several=False)
    np.testing.assert_allclose(one, softmax(logits, axis=1), atol=1e-6)
    several = without_temperature(expit(logits / temperature), temperature, several=True)
    np.testing.assert_allclose(several, expit(logits), atol=1e-6)
