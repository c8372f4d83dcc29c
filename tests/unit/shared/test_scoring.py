"""Scores, against the libraries that the field trusts."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB2
from sklearn.metrics import classification_report

from shared.data.rows import Row
from shared.runtime.classification import LabelScore
from shared.scoring.evaluation import Split, evaluate_classification, evaluate_multi_label, outcomes_of
from shared.scoring.intervals import interval
from shared.scoring.labels import NOTHING, score_classification
from shared.scoring.spans import score_entities, surfaces

LABELS = ("a", "b", "c")


@dataclass(frozen=True)
class Mention:
    start: int
    end: int
    label: str


pairs = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=40)


@given(pairs)
def test_classification_is_scored_as_scikit_learn_does(rows: list[tuple[str, str]]) -> None:
    """Accuracy, macro F1 and each label's scores are those of scikit-learn's own report."""
    true, answered = [t for t, _ in rows], [a for _, a in rows]
    scores = score_classification(true, answered, LABELS)
    report = classification_report(true, answered, output_dict=True, zero_division=0)
    assert scores.row_count == len(rows)
    assert scores.metrics["accuracy"] == pytest.approx(sum(t == a for t, a in rows) / len(rows))
    assert scores.metrics["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"])
    for label in set(true) | set(answered):
        ours = scores.per_label[label]
        assert (ours.precision, ours.recall, ours.f1, ours.support) == pytest.approx(
            [report[label][key] for key in ("precision", "recall", "f1-score", "support")]
        )


@given(pairs)
def test_the_confusion_table_counts_every_row(rows: list[tuple[str, str]]) -> None:
    """Its entries are the pairs that occur, in the order of the labels, and sum to the rows."""
    scores = score_classification([t for t, _ in rows], [a for _, a in rows], LABELS)
    assert {(t, a): count for t, a, count in scores.confusion} == {
        pair: rows.count(pair) for pair in set(rows)
    }
    assert [(t, a) for t, a, _ in scores.confusion] == sorted(set(rows))


maybe_answered = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from((*LABELS, NOTHING))), min_size=1, max_size=40
)


@given(maybe_answered)
def test_a_row_without_an_answer_is_missed_and_is_no_label(rows: list[tuple[str, str]]) -> None:
    """Macro F1 is the mean over real labels, of the F1 that refusing costs them; the table has the refused rows last, under no label."""
    true, answered = [t for t, _ in rows], [a for _, a in rows]
    scores = score_classification(true, answered, LABELS)
    assert NOTHING not in scores.per_label
    f1s = []
    for label in {*true, *answered} - {NOTHING}:
        right = sum(t == a == label for t, a in rows)
        f1s.append(2 * right / (true.count(label) + answered.count(label)))
        assert scores.per_label[label].f1 == pytest.approx(f1s[-1])
        assert scores.per_label[label].support == true.count(label)
    assert scores.metrics["macro_f1"] == pytest.approx(sum(f1s) / len(f1s))
    assert scores.metrics["accuracy"] == pytest.approx(sum(t == a for t, a in rows) / len(rows))
    counts = {(t, a): count for t, a, count in scores.confusion}
    assert counts == {pair: rows.count(pair) for pair in set(rows)}
    assert sum(counts.values()) == len(rows)
    for label in set(true):
        row = [a for t, a, _ in scores.confusion if t == label]
        assert NOTHING not in row[:-1]


def answer(label: str, score: float, *, is_given: bool = True) -> list[LabelScore]:
    """The scores of two labels, `label` first."""
    other = "b" if label == "a" else "a"
    return [LabelScore(label, score, is_given), LabelScore(other, 1 - score, is_given=False)]


def test_a_split_with_refused_rows_tells_what_refusing_cost() -> None:
    """Of five rows three are answered, two rightly; both that were refused would have been right; of three strays one is refused."""
    rows = [Row(text, label=label) for text, label in zip("vwxyz", "aabbb", strict=True)]
    answers = [
        answer("a", 0.9),
        answer("a", 0.6, is_given=False),
        answer("a", 0.8),
        answer("b", 0.55, is_given=False),
        answer("b", 0.9),
    ]
    split = Split("test", rows, ("a", "b"))
    alone = evaluate_classification(split, answers)
    told = evaluate_classification(
        split, answers, [answer("b", 0.6, is_given=False), answer("b", 0.9), answer("a", 0.9)]
    )
    for each in (alone, told):
        assert each.row_count == 5
        assert each.metrics["accuracy"] == pytest.approx(2 / 5)
        assert each.metrics["answered"] == pytest.approx(3 / 5)
        assert each.metrics["best_label_accuracy"] == pytest.approx(4 / 5)
        assert each.confusion == (
            ("a", "a", 1),
            ("a", NOTHING, 1),
            ("b", "a", 1),
            ("b", "b", 1),
            ("b", NOTHING, 1),
        )
        assert [(error.row, error.true, error.answered) for error in each.errors] == [
            ("test:3", ("b",), ("a",)),
            ("test:2", ("a",), (NOTHING,)),
            ("test:4", ("b",), (NOTHING,)),
        ]
        assert sum(of_bin.count for of_bin in each.reliability) == 5
    assert told.metrics["out_of_scope_recall"] == pytest.approx(1 / 3)
    assert (told.count_of("out_of_scope_recall"), told.count_of("accuracy")) == (3, 5)
    assert "out_of_scope_recall" not in alone.metrics


def test_without_refusing_nothing_is_told_of_it() -> None:
    """A version that answers everything has no shares of what it answered."""
    told = evaluate_classification(Split("test", [Row("x", label="a")], ("a", "b")), [answer("a", 0.9)])
    assert {"answered", "best_label_accuracy", "out_of_scope_recall"}.isdisjoint(told.metrics)


def test_a_version_that_refuses_nothing_is_told_of_where_it_should() -> None:
    """Strays were asked about: that none was refused is a figure, and so is that every row was answered."""
    split = Split("test", [Row("x", label="a")], ("a", "b"))
    told = evaluate_classification(split, [answer("a", 0.9)], [answer("b", 0.8)])
    assert [told.metrics[name] for name in ("answered", "best_label_accuracy", "out_of_scope_recall")] == [
        1,
        1,
        0,
    ]


def test_an_evaluation_has_the_interval_the_slices_and_the_surest_errors_of_its_rows() -> None:
    """Of 300 wrong answers the 200 surest are named; figures are of all rows."""
    rows = [Row(str(i), label="ab"[i % 2], columns=(("half", "ab"[i % 2]),)) for i in range(600)]
    answers = [answer("a", 0.5 + i / 1300) for i in range(600)]
    told = evaluate_classification(Split("test", rows, ("a", "b")), answers)
    assert told.interval == interval(outcomes_of(rows, answers))
    assert [(each.value, each.row_count, each.metric) for each in told.slices] == [
        ("a", 300, 1.0),
        ("b", 300, 0.0),
    ]
    assert [error.row for error in told.errors] == [f"test:{number}" for number in range(600, 200, -2)]
    assert told.confusion == (("a", "a", 300), ("b", "a", 300))


@pytest.mark.parametrize("several", [False, True])
def test_what_the_temperature_was_worth_is_told(several: bool) -> None:
    """The error that the scores would have had undivided stands beside the one that they have."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (400, 2))
    truth = random.integers(0, 2, 400)
    rows = [
        Row(str(i), label_set=("ab"[t],)) if several else Row(str(i), label="ab"[t])
        for i, t in enumerate(truth)
    ]
    errors = []
    for temperature in (2.5, 1.0):
        scores = expit(logits / temperature) if several else softmax(logits / temperature, axis=1)
        answers = [
            sorted(
                (
                    LabelScore("ab"[k], float(each[k]), is_given=not several or each[k] > 0.5)
                    for k in range(2)
                ),
                key=lambda scored: -scored.score,
            )
            for each in scores
        ]
        split = Split("test", rows, ("a", "b"))
        evaluate = evaluate_multi_label if several else evaluate_classification
        errors.append(evaluate(split, answers, temperature=temperature).metrics)
    divided, undivided = errors
    assert divided["calibration_error_before"] == pytest.approx(undivided["calibration_error"], abs=1e-6)
    assert undivided["calibration_error_before"] == pytest.approx(undivided["calibration_error"], abs=1e-6)
    assert divided["calibration_error"] < undivided["calibration_error"] - 0.05


def test_a_row_that_got_no_answer_counts_as_wrong() -> None:
    """Where one label is wanted; a text of several labels may have none of them, rightly."""
    refused = [LabelScore("a", 0.4, is_given=False)]
    assert outcomes_of([Row("x", label="a")], [refused]).tolist() == [[0, 1, 1]]
    assert outcomes_of([Row("x", label_set=())], [refused]).tolist() == [[0, 0, 0]]


def test_a_true_label_that_the_model_does_not_know_counts_as_missed() -> None:
    """It lowers accuracy and has a row of its own; leaving it out would flatter."""
    scores = score_classification(["a", "new"], ["a", "a"], ("a",))
    assert scores.metrics["accuracy"] == 0.5
    assert scores.per_label["new"].recall == 0
    assert scores.per_label["new"].support == 1


@st.composite
def tagged(draw: st.DrawFn) -> list[tuple[list[str], list[Mention]]]:
    """Texts of one-letter words: BIO tags, and the same mentions as spans."""
    texts = []
    for _ in range(draw(st.integers(1, 5))):
        tags: list[str] = []
        mentions = []
        for length, label in draw(
            st.lists(st.tuples(st.integers(1, 3), st.sampled_from(("", *LABELS))), max_size=5)
        ):
            if label:
                mentions.append(Mention(len(tags), len(tags) + length, label))
            tags += [f"B-{label}", *[f"I-{label}"] * (length - 1)] if label else ["O"] * length
        texts.append((tags, mentions))
    return texts


@given(tagged(), tagged())
def test_entities_are_scored_as_seqeval_does(
    left: list[tuple[list[str], list[Mention]]], right: list[tuple[list[str], list[Mention]]]
) -> None:
    """Strict spans: micro and per-label precision, recall and F1 are seqeval's in its strict IOB2 mode."""
    count = min(len(left), len(right))
    true_tags, answered_tags = [], []
    for (t, _), (a, _) in zip(left[:count], right[:count], strict=True):
        longest = max(len(t), len(a), 1)
        true_tags.append(t + ["O"] * (longest - len(t)))
        answered_tags.append(a + ["O"] * (longest - len(a)))
    true, answered = [m for _, m in left[:count]], [m for _, m in right[:count]]
    scores = score_entities(true, answered, LABELS, set(), ["x" * 20] * count)
    if not any(true) and not any(answered):
        assert scores.metrics["span_f1"] == 0
        return
    oracle = {"scheme": IOB2, "zero_division": 0}
    precision, recall, f1, _ = precision_recall_fscore_support(
        true_tags, answered_tags, average="micro", **oracle
    )
    ours = scores.metrics
    assert (ours["span_precision"], ours["span_recall"], ours["span_f1"]) == pytest.approx(
        (precision, recall, f1)
    )
    occurring = sorted({m.label for ms in (*true, *answered) for m in ms})
    by_label = precision_recall_fscore_support(true_tags, answered_tags, average=None, **oracle)
    for i, label in enumerate(occurring):
        label_scores = scores.per_label[label]
        assert (
            label_scores.precision,
            label_scores.recall,
            label_scores.f1,
            label_scores.support,
        ) == pytest.approx([column[i] for column in by_label])


def test_a_mention_must_be_exact() -> None:
    """One code point off, or another label, is both a false answer and a missed mention."""
    texts = ["Ada Lovelace met Bob"]
    true = [[Mention(0, 12, "a"), Mention(17, 20, "a")]]
    answered = [[Mention(0, 3, "a"), Mention(17, 20, "b")]]
    assert score_entities(true, answered, LABELS, set(), texts).metrics["span_f1"] == 0
    assert score_entities(true, true, LABELS, set(), texts).metrics["span_f1"] == 1


def test_unseen_mentions_are_scored_by_themselves() -> None:
    """A mention is unseen if its surface, in any case, never had its label in training."""
    seen = surfaces(["ADA and Paris"], [[Mention(0, 3, "a"), Mention(8, 13, "b")]])
    assert seen == {("a", "ada"), ("b", "paris")}
    texts = ["Ada, Grace, Paris"]
    true = [[Mention(0, 3, "a"), Mention(5, 10, "a"), Mention(12, 17, "a")]]
    answered = [[Mention(0, 3, "a"), Mention(5, 10, "a")]]
    metrics = score_entities(true, answered, LABELS, seen, texts).metrics
    assert metrics["span_recall"] == pytest.approx(2 / 3)
    assert metrics["unseen_span_recall"] == pytest.approx(1 / 2)  # Grace is found, Paris as an `a` is not
    assert (
        "unseen_span_recall" not in score_entities([[Mention(0, 3, "a")]], [[]], LABELS, seen, texts).metrics
    )


def test_texts_and_answers_must_match_in_number() -> None:
    """Scores of mismatched lists would be nonsense."""
    with pytest.raises(ValueError, match="2 texts, 1 truths and 1 answers"):
        score_entities([[]], [[]], LABELS, set(), ["a", "b"])
