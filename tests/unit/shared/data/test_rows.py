"""What a row must be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.data.rows import MOST_CODE_POINTS, Row, Span, check_row

TEXTS = st.text(max_size=60)


def faults_of(row: Row, task="classification"):
    return [problem.description for problem in check_row(row, task, where="f.csv:3")]


def test_good_rows_have_no_problem():
    """A labelled text and a text with neighbouring spans are fine."""
    assert check_row(Row("hello", label="greeting"), "classification", where="f") == []
    assert check_row(Row("ab", entities=(Span(1, 2, "x"), Span(0, 1, "x"))), "entities", where="f") == []
    assert check_row(Row("nothing here", entities=()), "entities", where="f") == []


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (Row("", label="a"), "the text is empty"),
        (Row(" \u3000\n", label="a"), "the text is empty"),
        (
            Row("x" * (MOST_CODE_POINTS + 1), label="a"),
            "the text has 100001 code points; at most 100000 are allowed",
        ),
        (Row("x\ud83d", label="a"), "the text holds half of a surrogate pair, which is no character"),
        (Row("x"), "has no label"),
        (Row("x", label="  "), "the label is empty"),
        (
            Row("x", label=" a"),
            "the label ' a' has white space around it, which the cleaning step `trim-labels` takes off",
        ),
        (Row("x", label="a\nb"), "the label 'a\\nb' holds control characters"),
        (Row("x", label="a" * 129), "the label has 129 code points; at most 128 are allowed"),
    ],
)
def test_every_fault_of_a_classification_row_is_described(row, expected):
    """Each fault has its own words."""
    assert faults_of(row) == [expected]


@pytest.mark.parametrize(
    ("text", "spans", "expected"),
    [
        ("abc", None, "has no entities; a text without any has an empty list"),
        ("abc", [Span(0, 4, "x")], "entities[0] [0, 4) lies outside of the text, which has 3 code points"),
        ("abc", [Span(-1, 2, "x")], "entities[0] [-1, 2) lies outside of the text, which has 3 code points"),
        ("abc", [Span(1, 1, "x")], "entities[0] [1, 1) is empty"),
        ("abc", [Span(2, 1, "x")], "entities[0] [2, 1) is empty"),
        (
            "a bc",
            [Span(1, 4, "x")],
            "entities[0] [1, 4) begins or ends with white space, which the cleaning step `trim-spans` takes off",
        ),
        ("abc", [Span(0, 1, "")], "the label of entities[0] [0, 1) is empty"),
        ("abcd", [Span(2, 4, "x"), Span(0, 3, "y")], "entities[0] [2, 4) overlaps entities[1] [0, 3)"),
    ],
)
def test_every_fault_of_a_span_is_described(text, spans, expected):
    """A span's fault names its index and its offsets, and never its text."""
    assert faults_of(Row(text, entities=None if spans is None else tuple(spans)), "entities") == [expected]


def test_all_faults_of_a_row_are_told_at_once():
    """A row with three faults has three problems, all at its place."""
    problems = check_row(Row(" ", entities=(Span(0, 1, ""), Span(3, 9, "x"))), "entities", where="f.csv:3")

    assert [problem.field for problem in problems] == ["f.csv:3"] * 4
    assert len({problem.description for problem in problems}) == 4


@given(TEXTS, st.lists(st.tuples(st.integers(-3, 65), st.integers(-3, 65)), max_size=5))
def test_spans_pass_exactly_when_they_are_disjoint_unpadded_slices(text, pairs):
    """A row passes if and only if every span is a real slice without outer white space and no two share a code point."""
    taken = [index for start, end in pairs for index in range(start, end)]
    good = (
        bool(text.strip())
        and all(0 <= start < end <= len(text) for start, end in pairs)
        and all(text[start:end] == text[start:end].strip() for start, end in pairs)
        and len(taken) == len(set(taken))
    )

    row = Row(text, entities=tuple(Span(start, end, "x") for start, end in pairs))

    assert (check_row(row, "entities", where="f") == []) is good


@given(TEXTS.filter(lambda text: len(text.strip()) > 1), st.data())
def test_no_description_quotes_the_text(text, data):
    """A problem never carries what a customer wrote."""
    marked = f"{text}SECRET{text}"
    spans = tuple(
        Span(data.draw(st.integers(-2, 200)), data.draw(st.integers(-2, 200)), "x")
        for _ in range(data.draw(st.integers(0, 4)))
    )

    assert not any("SECRET" in fault for fault in faults_of(Row(marked, entities=spans), "entities"))
