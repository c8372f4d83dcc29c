"""Which split a row belongs to."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from shared.data.rows import SPLIT_NAMES, Row, Span
from shared.data.splits import assign_splits, check_dataset

ROWS = st.builds(Row, st.text(min_size=1, max_size=12), st.sampled_from("ab"))
ROWS_OF_FILES = st.builds(
    Row, st.text(min_size=1, max_size=12), st.sampled_from("ab"), split=st.sampled_from(["train", "test"])
)


def where(splits):
    return {id(row): name for name, rows in splits.items() for row in rows}


@given(
    st.one_of(st.lists(ROWS), st.lists(ROWS_OF_FILES)),
    st.one_of(st.lists(ROWS), st.lists(ROWS_OF_FILES)),
    st.randoms(),
)
def test_every_row_is_in_exactly_one_split_whatever_the_order(first, second, randomness):
    """Splits partition the rows, and shuffling the rows moves none."""
    rows = [*first, *second]
    splits = assign_splits(rows)
    shuffled = rows.copy()
    randomness.shuffle(shuffled)

    assert list(splits) == list(SPLIT_NAMES)
    assert sum(map(len, splits.values())) == len(rows)
    assert where(assign_splits(shuffled)) == where(splits)


@given(st.sampled_from([ROWS, ROWS_OF_FILES]).flatmap(lambda rows: st.tuples(st.lists(rows), st.lists(rows))))
def test_no_row_moves_when_the_dataset_grows(growth):
    """Adding rows of the same kind leaves every earlier row in its split."""
    before, more = growth
    grown = where(assign_splits([*more, *before]))

    assert where(assign_splits(before)).items() <= grown.items()


@given(st.lists(ROWS), st.lists(st.one_of(ROWS, ROWS_OF_FILES)))
def test_a_row_without_a_split_never_moves(before, more):
    """Whatever rows join it, with a split or without, a row without one stays where its hash puts it."""
    grown = where(assign_splits([*more, *before]))

    assert where(assign_splits(before)).items() <= grown.items()


def test_rows_that_stand_in_for_validation_go_back_to_train_when_others_can_validate():
    """The one exception: a train row that validates for want of others is a train row again once a row without a split is there."""
    texts = [f"text {n}" for n in range(100)]
    trains = next(text for text in texts if assign_splits([Row(text)])["train"])
    first, second, *_ = (text for text in texts if assign_splits([Row(text)])["validation"])
    named = Row(first, split="train")

    assert assign_splits([named])["validation"] == [named]
    assert named in assign_splits([named, Row(trains)])["train"]
    assert named in assign_splits([named, Row(trains), Row(second)])["train"]


@given(st.lists(ROWS, max_size=6))
def test_equal_texts_share_a_split(rows):
    """A text that occurs twice is never on both sides, whatever its label."""
    twins = [Row(row.text, label="c") for row in rows]
    homes = where(assign_splits([*rows, *twins]))

    assert all(homes[id(row)] == homes[id(twin)] for row, twin in zip(rows, twins, strict=True))


def test_shares_are_80_10_10():
    """Of many texts, a tenth validates and a tenth tests."""
    sizes = {
        name: len(rows) for name, rows in assign_splits([Row(f"text {n}", "a") for n in range(5000)]).items()
    }

    assert 3850 < sizes["train"] < 4150
    assert 420 < sizes["validation"] < 580
    assert 420 < sizes["test"] < 580


def test_a_rows_own_split_wins():
    """Explicit splits are kept as they are."""
    rows = [Row(f"text {n}", "a", split=SPLIT_NAMES[n % 3]) for n in range(30)]

    assert Counter(map(len, assign_splits(rows).values())) == {10: 3}


def test_without_validation_a_tenth_of_train_validates():
    """Train and test files alone give a validation split out of train, and leave test whole."""
    rows = [Row(f"text {n}", "a", split="train") for n in range(1000)] + [Row("held out", "a", split="test")]
    splits = assign_splits(rows)

    assert splits["test"] == rows[-1:]
    assert 70 < len(splits["validation"]) < 130


def rows_of(*labels):
    return [Row(f"{label} {index}", label=label) for index, label in enumerate(labels)]


def test_a_usable_dataset_has_no_problem():
    """Two labels in train, and validation within them."""
    assert (
        check_dataset({"train": rows_of("a", "b"), "validation": rows_of("a"), "test": []}, "classification")
        == []
    )


def test_unusable_datasets_are_described():
    """Each problem names its split."""
    described = {
        "no rows": check_dataset({"train": [], "validation": [], "test": rows_of("a")}, "classification"),
        "one class": check_dataset(
            {"train": rows_of("a", "a"), "validation": rows_of("a")}, "classification"
        ),
        "unknown": check_dataset(
            {"train": rows_of("a", "b"), "validation": rows_of("c", "c"), "test": rows_of("d")},
            "classification",
        ),
    }

    assert [problem.field for problem in described["no rows"]] == ["train", "validation"]
    assert [(p.field, p.description) for p in described["one class"]] == [
        ("train", "all rows have the one label 'a'; two or more are needed")
    ]
    assert [(p.field, p.description.split(";")[0]) for p in described["unknown"]] == [
        ("validation", "label 'c' (2x in validation) never occurs in train"),
        ("test", "label 'd' (1x in test) never occurs in train"),
    ]


def test_an_entities_dataset_needs_entities():
    """One label is enough, but train and validation must have mentions."""
    some, none = [Row("ab", entities=(Span(0, 1, "x"),))], [Row("ab", entities=())]

    assert check_dataset({"train": some, "validation": some, "test": none}, "entities") == []
    assert [p.field for p in check_dataset({"train": some, "validation": none}, "entities")] == ["validation"]
    assert [p.field for p in check_dataset({"train": none, "validation": none}, "entities")] == [
        "train",
        "validation",
    ]


def test_many_unknown_labels_are_counted_not_listed():
    """A wrong file does not drown the message."""
    problems = check_dataset(
        {"train": rows_of("a", "b"), "validation": rows_of(*map(str, range(50)))}, "classification"
    )

    assert len(problems) == 21
    assert problems[-1].description == "30 more labels never occur in train"
