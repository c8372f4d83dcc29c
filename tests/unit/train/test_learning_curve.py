"""Learning curves of vectors whose truth is known, and the order that shares are taken in."""

from collections import Counter

import numpy as np
import pytest

from services.train.plan import LearningCurve
from services.train.trainer.corpus import Corpus
from services.train.trainer.examples import make_examples
from services.train.trainer.frozen_probe import FrozenRows, ask
from services.train.trainer.learning_curve import learning_curve, share_sizes, spread_order, verdict_of
from shared.data.rows import Row
from shared.runtime.reader import EncodedText
from shared.runtime.windows import Window

WINDOW = Window(np.zeros(3, dtype=np.int64), 0, 1, 1)
SEEN = EncodedText("text", (WINDOW,), None)


def cloud(
    rows: int, *, apart: float, labels: int = 4, width: int = 48, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """A cloud of vectors for each label, whose centres are `apart` from the middle, and the labels; `seed` draws the rows, not the centres."""
    centres = np.random.default_rng(0).normal(0, 1, (labels, width))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    random = np.random.default_rng(seed)
    numbers = np.arange(rows) % labels
    return (centres[numbers] + random.normal(0, 1, (rows, width))).astype(np.float32), numbers


def frozen(rows: list[Row], vectors: np.ndarray, labels: tuple[str, ...]) -> FrozenRows:
    """Rows of one window each, with made vectors."""
    return FrozenRows(make_examples(rows, [SEEN] * len(rows), labels), vectors)


def curve_of(
    train: tuple[np.ndarray, np.ndarray], validation: tuple[np.ndarray, np.ndarray], **bound: int
) -> LearningCurve:
    """The curve of rows with one label each."""
    names = tuple("abcdefgh"[: int(train[1].max()) + 1])
    rows = [[Row("text", label=names[i]) for i in numbers] for _, numbers in (train, validation)]
    corpus = Corpus("classification", names, {"train": rows[0], "validation": rows[1], "test": []})
    seen = [
        frozen(of_split, split[0], names) for of_split, split in zip(rows, (train, validation), strict=True)
    ]
    return learning_curve(corpus, *seen, [SEEN] * len(rows[1]), **bound)


def test_what_is_told_apart_by_a_few_rows_is_flat() -> None:
    """Clouds far from each other: the first share has learnt all that there is."""
    curve = curve_of(cloud(320, apart=12), cloud(200, apart=12, seed=2))
    assert [point.row_count for point in curve.points] == [20, 40, 80, 160, 320]
    assert [point.score for point in curve.points][1:] == [1.0] * 4
    assert (curve.verdict, curve.gain) == ("flat", 0.0)


def test_labels_that_are_chance_are_flat_and_not_told_to_rise() -> None:
    """Labels that the vectors know nothing of are not learnt from more rows either."""
    train, validation = cloud(1600, apart=0), cloud(4000, apart=0, seed=2)
    curve = curve_of(train, validation)
    assert curve.verdict == "flat"
    assert all(point.score < 0.3 for point in curve.points)


def test_what_takes_many_rows_rises() -> None:
    """Clouds that overlap in many dimensions: every share scores more, and the last doubling beyond chance."""
    curve = curve_of(cloud(320, apart=2), cloud(2000, apart=2, seed=2))
    scores = [point.score for point in curve.points]
    assert scores == sorted(scores)
    assert curve.verdict == "rising"
    assert curve.gain == pytest.approx(scores[-1] - scores[-2])
    assert 0 < curve.gain_low < curve.gain < curve.gain_high


def test_a_few_validation_rows_cannot_tell() -> None:
    """The same clouds, judged by eight rows."""
    assert curve_of(cloud(320, apart=2), cloud(8, apart=2, seed=2)).verdict == "unclear"


def test_a_curve_is_the_same_every_time() -> None:
    """Nothing of it is drawn anew."""
    train, validation = cloud(160, apart=2), cloud(100, apart=2, seed=2)
    assert curve_of(train, validation) == curve_of(train, validation)


def test_a_bound_leaves_rows_out_and_says_so() -> None:
    """Of 320 targets of 4 outputs, 600 are 150 rows: the shares are of them."""
    curve = curve_of(cloud(320, apart=2), cloud(100, apart=2, seed=2), most_learnt=600)
    assert [point.row_count for point in curve.points] == [9, 19, 38, 75, 150]
    assert curve.train_row_count == 320


def test_a_label_with_one_row_is_in_every_share() -> None:
    """It is learnt from that row, and answered, at every point."""
    vectors, numbers = cloud(321, apart=12)
    numbers = np.where(np.arange(321) == 200, 4, numbers)
    vectors[200] = 40
    asked, wanted = cloud(40, apart=12, seed=2)
    asked[:4], wanted[:4] = 40, 4
    curve = curve_of((vectors, numbers), (asked, wanted))
    assert len(curve.points) == 5
    assert all(point.score >= 0.9 for point in curve.points[1:])


def test_every_label_with_one_row_leaves_one_point() -> None:
    """There is no half that has them all."""
    curve = curve_of(cloud(4, apart=12), cloud(40, apart=12, seed=2))
    assert [point.row_count for point in curve.points] == [4]
    assert (curve.verdict, curve.gain_low, curve.gain_high) == ("unclear", -1, 1)


def test_each_beginning_of_the_order_has_the_labels_as_all_rows_do() -> None:
    """One label is ten times as frequent as another, and stays so; one that stands beside others only is there from the first share on."""
    labels = [("often",)] * 1000 + [("seldom",)] * 100 + [("often", "beside")] * 3
    order, covering = spread_order(labels)
    assert sorted(order.tolist()) == list(range(len(labels)))
    assert {label for i in order[:covering] for label in labels[i]} == {"often", "seldom", "beside"}
    assert covering <= 3
    for size in share_sizes(len(labels), covering):
        counts = Counter(label for i in order[:size] for label in labels[i])
        assert counts["seldom"] / counts["often"] == pytest.approx(0.1, abs=0.03)
        assert counts["beside"] >= 1


def test_rows_of_no_label_are_spread_too() -> None:
    """Of a share of rows half without a label, half are."""
    order, covering = spread_order([("a",), ()] * 50)
    assert covering == 1
    assert sum(i % 2 for i in order[:20].tolist()) == pytest.approx(10, abs=1)


@pytest.mark.parametrize(
    ("rows", "covering", "sizes"),
    [
        (160, 4, [10, 20, 40, 80, 160]),
        (160, 30, [40, 80, 160]),
        (5, 5, [5]),
        (2, 1, [1, 2]),
        (3, 0, [1, 2, 3]),
    ],
)
def test_shares_begin_where_every_label_has_a_row(rows: int, covering: int, sizes: list[int]) -> None:
    """Smaller ones are left out; all rows are the last."""
    assert share_sizes(rows, covering) == sizes


@pytest.mark.parametrize(
    ("low", "high", "rows", "verdict"),
    [
        (0.005, 0.06, 1000, "rising"),
        (0.001, 0.015, 1000, "flat"),  # it gains, but less than anybody would label for
        (-0.01, 0.01, 1000, "flat"),
        (-0.01, 0.05, 1000, "unclear"),
        (-0.04, -0.03, 1000, "flat"),
        (0.0, 0.0, 150, "flat"),
        (0.0, 0.0, 149, "unclear"),  # 3 in 149 might be answered otherwise, and none of these be
        (-1.0, 1.0, 1000, "unclear"),
    ],
)
def test_a_verdict_follows_from_the_bounds(low: float, high: float, rows: int, verdict: str) -> None:
    """Rising and flat are said only where chance leaves no doubt."""
    assert verdict_of(low, high, rows) == verdict


def test_several_labels_are_scored_by_micro_f1() -> None:
    """Each label has a probe; labels that the signs of two numbers give away are learnt."""
    random = np.random.default_rng(3)
    names = ("a", "b")
    splits, seen = {"test": []}, []
    for split, count in (("train", 320), ("validation", 200)):
        vectors = random.normal(0, 1, (count, 8)).astype(np.float32)
        splits[split] = [
            Row("text", label_set=tuple(name for name, at in zip(names, of_row, strict=False) if at > 0))
            for of_row in vectors
        ]
        seen.append(frozen(splits[split], vectors, names))
    curve = learning_curve(Corpus("multi-label", names, splits), *seen, [SEEN] * 200)
    assert curve.metric_name == "micro_f1"
    assert curve.points[-1].score > 0.95
    assert curve.points[0].score < curve.points[-1].score


def test_a_probe_of_one_label_among_several_answers_that_label() -> None:
    """(rows, 1) is no choice of two classes; and of one class only there is nothing to tell apart."""
    vectors = np.array([[-1.0], [-2.0], [1.0], [2.0]], dtype=np.float32)
    answered = ask(vectors, np.array([[0], [0], [1], [1]]), vectors, 1)
    assert answered.shape == (4, 1)
    assert (answered[:2] < 0.5).all()
    assert (answered[2:] > 0.5).all()
    assert ask(vectors, np.array([2, 2, 2, 2]), vectors, 3).tolist() == [[0, 0, 1]] * 4
