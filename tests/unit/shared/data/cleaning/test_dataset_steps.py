"""Steps over all rows, and the counts of a whole cleaning."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.data.cleaning.steps import DATASET_STEPS, ROW_STEPS, STEPS, TEXT_STEPS, Cleaning, StepReport
from shared.data.inspection.findings import MOST_PLACES, Kind, placed
from shared.data.inspection.labels import labels
from shared.data.inspection.mentions import mentions
from shared.data.inspection.repeats import repeats
from shared.data.rows import SPLIT_NAMES, Row, Span, SplitName

Splits = dict[SplitName, list[Row]]
ROWS = st.builds(
    Row,
    st.sampled_from(["a  card", "A card!", "my parcel", "parcel", "  lost  ", "caf\u0065\u0301", "&amp;"]),
    st.sampled_from(["Refund", "refund", "re_fund", "C", "C++", " c "]),
    split=st.sampled_from(SPLIT_NAMES),
)
ENTITY_ROWS = st.builds(
    lambda text, label, split: Row(text, entities=(Span(0, len(text), label),), split=split),
    st.sampled_from(["Ada ", "Ada", "ada", " Ad\u0061\u0300", "x\x00y"]),
    st.sampled_from(["person", "Person"]),
    st.sampled_from(SPLIT_NAMES),
)


def in_splits(rows: Sequence[Row]) -> Splits:
    """Rows by their splits."""
    return {split: [row for row in rows if row.split == split] for split in SPLIT_NAMES}


def cleaned(rows: Sequence[Row], *steps: str) -> tuple[list[Row], dict[str, StepReport]]:
    """What a whole cleaning makes of rows, and its reports."""
    cleaning = Cleaning(steps)
    splits = cleaning.sift(in_splits([cleaning.mend(row) for row in rows]))
    return [row for rows in splits.values() for row in rows], {each.step: each for each in cleaning.reports()}


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("refund", "Refund", True),
        ("order_status", "Order Status", True),
        ("order-status", "order status", True),
        ("refund.", "refund", True),
        ("C", "C++", False),
        ("-1", "1", False),
        ("score -1", "score 1", False),
        ("1-2", "12", False),
        ("section-1", "section-2", False),
        ("yes!", "yes", False),
    ],
)
def test_labels_that_differ_by_writing_only_become_one(one: str, other: str, are_one: bool) -> None:
    """The most frequent of train wins; signs that may mean something keep labels apart."""
    rows = [Row(str(n), label=one, split="train") for n in range(2)]
    rows += [Row("x", label=other, split="train")]
    rows += [Row(str(n), label=other, split="test") for n in range(5)]
    merged, reports = cleaned(rows, "merge-labels")
    assert {row.label for row in merged} == ({one} if are_one else {one, other})
    assert reports["merge-labels"].changed_count == (6 if are_one else 0)


def test_labels_of_every_task_are_merged() -> None:
    """Of several labels two may become one; entities keep their spans."""
    rows = [
        Row("t", label_set=("Lost", "card"), split="train"),
        Row("u", label_set=("Lost", "lost"), split="train"),
    ]
    assert [row.label_set for row in cleaned(rows, "merge-labels")[0]] == [("Lost", "card"), ("Lost",)]
    rows = [Row("ab", entities=(Span(0, 1, "X"), Span(1, 2, "x")), split="train")] * 2
    rows += [Row("ab", entities=(Span(0, 1, "X"),), split="train")]
    assert cleaned(rows, "merge-labels")[0][0].entities == (Span(0, 1, "X"), Span(1, 2, "X"))


def test_the_first_of_equal_rows_stays() -> None:
    """Within a split, with the same answer; conflicts are for people to decide."""
    first = Row("My card", label="a", split="train")
    others = [
        Row("my card!", label="a", split="train", where="t.csv:3"),
        Row("my card", label="b", split="train"),
        Row("my card", label="a", split="test"),
    ]
    rows, reports = cleaned([first, *others], "drop-duplicates")
    assert rows == [first, *others[1:]]
    assert reports == {"drop-duplicates": StepReport("drop-duplicates", 0, 1, ("t.csv:3",))}


def test_rows_of_train_that_are_held_out_too_go() -> None:
    """Held-out rows stay, whatever they share with one another; so do texts of train with another label."""
    held_out: list[Row] = [
        Row("My card", label="a", split="validation"),
        Row("my card", label="a", split="test"),
    ]
    train = [
        Row("my card.", label="a", split="train", where="t.csv:2"),
        Row("my card", label="b", split="train"),
        Row("parcel", label="a", split="train"),
    ]
    rows, reports = cleaned([*train, *held_out], "drop-leaks")
    assert rows == [*train[1:], *held_out]
    assert reports["drop-leaks"] == StepReport("drop-leaks", 0, 1, ("t.csv:2",))


def test_out_of_scope_rows_are_their_own_answer() -> None:
    """They have no label, and are no repeats of rows that have one."""
    rows = [Row("x", label="a", split="train"), Row("x", out_of_scope=True, split="train")]
    assert cleaned(rows, "drop-duplicates")[0] == rows


@given(st.lists(ROWS, max_size=25) | st.lists(ENTITY_ROWS, max_size=12), st.sets(st.sampled_from(STEPS)))
def test_nothing_is_dropped_without_being_counted(rows: list[Row], steps: set[str]) -> None:
    """Rows in are rows out and rows counted, and a row that changed is counted by some step; splits keep their order."""
    after, reports = cleaned(rows, *steps)
    assert list(reports) == [step for step in STEPS if step in steps]
    assert len(rows) == len(after) + sum(each.dropped_count for each in reports.values())
    assert sum(Counter(after).values()) == len(after)
    fresh = sum((Counter(after) - Counter(rows)).values())
    assert fresh <= sum(each.changed_count for each in reports.values())
    if not any(each.changed_count or each.dropped_count for each in reports.values()):
        assert after == [row for split in in_splits(rows).values() for row in split]
    assert not any(reports[step].dropped_count for step in steps - DATASET_STEPS.keys())


@given(st.lists(ROWS, max_size=25) | st.lists(ENTITY_ROWS, max_size=12), st.sets(st.sampled_from(STEPS)))
def test_cleaned_rows_come_out_as_they_are(rows: list[Row], steps: set[str]) -> None:
    """The whole cleaning is idempotent: nothing changes, nothing is counted."""
    after, _ = cleaned(rows, *steps)
    again, reports = cleaned(after, *steps)
    assert again == after
    assert not any(each.changed_count or each.dropped_count for each in reports.values())


@given(st.lists(ROWS, max_size=25))
def test_findings_do_not_find_what_steps_have_mended(rows: list[Row]) -> None:
    """After them there is no repeat in a split and no leak of train; step and finding mean the same by a text and its answer."""
    after, _ = cleaned(rows, "trim-labels", "merge-labels", "drop-duplicates", "drop-leaks")
    held_out = [row for row in after if row.split != "train"]
    for part in (after, [row for row in after if row.split == "train"]):
        found = {finding.kind for finding in repeats(placed(in_splits(part)))}
        assert Kind.DUPLICATE not in found
    if not held_out or {row.split for row in held_out} == {"test"}:
        assert Kind.LEAK not in {finding.kind for finding in repeats(placed(in_splits(after)))}


def test_a_row_counts_once_for_a_step_and_places_are_few() -> None:
    """However often a step works on it; counts go on where places end."""
    cleaning = Cleaning(["unescape-html"])
    for line in range(1, 31):
        cleaning.mend(Row("&amp;amp; &lt;b&gt;", label="x", where=f"a.csv:{line}"))
    [report] = cleaning.reports()
    assert (report.changed_count, report.dropped_count, len(report.places)) == (30, 0, MOST_PLACES)


def test_steps_have_one_order_and_say_what_they_do() -> None:
    """Whatever the order they were asked for in; each is a function with a docstring."""
    assert Cleaning(reversed(STEPS)).steps == STEPS
    assert all(step.__doc__ for step in (*TEXT_STEPS.values(), *ROW_STEPS.values(), *DATASET_STEPS.values()))


def test_findings_name_steps_that_there_are() -> None:
    """What a finding advises can be asked for."""
    twice = [Row("my card", label="a"), Row("my card", label="a")]
    spelt = [Row("x", label="Order status"), Row("y", label="order_status")]
    cut = [Row("Lisbon", entities=(Span(1, 6, "city"),))]
    found = [
        *repeats(placed({"train": twice})),
        *repeats(placed({"train": twice[:1], "test": twice[:1]})),
        *labels(placed({"train": spelt, "validation": spelt})),
        *mentions(placed({"train": cut})),
    ]
    advised = [each.message.split("`")[1] for each in found if "`" in each.message]
    assert advised == ["drop-duplicates", "drop-leaks", "merge-labels", "snap-spans"]
    assert set(advised) <= set(STEPS)
