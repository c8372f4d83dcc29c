"""What is planted in rows is found, and told without a word of their texts."""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.data.cleaning.repeats import merge_labels
from shared.data.inspection.columns import MOST_VALUES
from shared.data.inspection.findings import MOST_PLACES, Finding, Kind, placed
from shared.data.inspection.likeness import NEAR, canonical, near_pairs
from shared.data.inspection.report import inspect
from shared.data.rows import Row, Span, SplitName

WORDS = [
    "amber",
    "basin",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "haven",
    "islet",
    "jetty",
    "knoll",
    "ledge",
    "marsh",
    "north",
    "oasis",
    "plain",
    "quarry",
    "ridge",
    "shore",
    "trail",
]


def text(number: int) -> str:
    """One of many texts, no two nearly alike."""
    return " ".join(WORDS[number * step % len(WORDS)] + str(number * step) for step in (3, 7, 11, 13))


def rows(label: str, numbers: Sequence[int]) -> list[Row]:
    """Rows of a label."""
    return [Row(text(number), label=label) for number in numbers]


def clean() -> dict[SplitName, list[Row]]:
    """A dataset without a fault."""
    return {
        "train": rows("refund", range(100, 130)) + rows("delivery", range(200, 230)),
        "validation": rows("refund", range(300, 315)) + rows("delivery", range(400, 415)),
        "test": rows("refund", range(500, 505)),
    }


def inspect_splits(splits: dict[SplitName, list[Row]]) -> list[Finding]:
    """Look at rows that stand in splits."""
    return inspect(placed(splits))


def only(found: Sequence[Finding], kind: Kind) -> Finding:
    """The one finding, which is of that kind."""
    assert [finding.kind for finding in found] == [kind]
    return found[0]


def test_a_clean_dataset_has_no_finding() -> None:
    """So that a finding means something."""
    assert inspect_splits(clean()) == []


@pytest.mark.parametrize(
    ("split", "label", "other", "kind", "place"),
    [
        ("train", "refund", str.upper, Kind.DUPLICATE, "train:61"),
        ("train", "refund", lambda given: f"{given} ok", Kind.NEAR_DUPLICATE, "train:61"),
        ("train", "delivery", lambda given: f"  {given}!", Kind.CONFLICT, "train:1"),
        ("train", "delivery", lambda given: f"{given} pls", Kind.NEAR_CONFLICT, "train:1"),
        ("validation", "refund", str.title, Kind.LEAK, "validation:31"),
        ("test", "refund", lambda given: f"o {given}", Kind.NEAR_LEAK, "test:6"),
    ],
)
def test_a_text_that_comes_again_is_found(
    split: SplitName, label: str, other: object, kind: Kind, place: str
) -> None:
    """Equal or nearly so, in its split or another, with its label or another: each is told once, by its gravest fault."""
    assert callable(other)
    splits = clean()
    splits[split].append(Row(other(splits["train"][0].text), label=label))
    finding = only(inspect_splits(splits), kind)
    assert finding.places[0] == place
    assert finding.count == (2 if "CONFLICT" in kind else 1)


def test_findings_name_files_and_lines_where_they_are_known() -> None:
    """An analyst mends the file, not the snapshot; a long list is cut, its count is not."""
    splits = clean()
    splits["train"] += [
        Row(text(100).upper(), label="refund", where=f"more.csv:{line}") for line in range(1, 51)
    ]
    finding = only(inspect_splits(splits), Kind.DUPLICATE)
    assert finding.count == 50
    assert finding.places == tuple(f"more.csv:{line}" for line in range(1, MOST_PLACES + 1))


def test_a_label_spelt_two_ways_is_found() -> None:
    """By case, by a slip; a number makes another label, and short ones differ by a letter rightly."""
    splits = clean()
    for slip in ("Delivery", "delivry"):
        splits["train"] = clean()["train"] + rows(slip, range(600, 610))
        found = {finding.kind: finding for finding in inspect_splits(splits)}
        assert found[Kind.SIMILAR_LABELS].count == 10
        assert repr(slip) in found[Kind.SIMILAR_LABELS].message
        assert found[Kind.SIMILAR_LABELS].places[0] == "train:61"
    splits["train"] = (
        clean()["train"] + rows("section-1", range(700, 710)) + rows("section-2", range(800, 810))
    )
    splits["train"] += rows("cat", range(900, 910)) + rows("car", range(1000, 1010))
    assert Kind.SIMILAR_LABELS not in {finding.kind for finding in inspect_splits(splits)}


def test_labels_that_look_the_same_are_said_to_be_written_in_two_ways() -> None:
    """Their names cannot tell them apart, so that no rename can be asked for; the step that makes them one is named, and does."""
    composed, decomposed = (unicodedata.normalize(form, "schön") for form in ("NFC", "NFD"))
    splits = clean()
    splits["train"] += rows(composed, range(600, 610)) + rows(decomposed, range(610, 620))
    told = next(each for each in inspect_splits(splits) if each.kind == Kind.SIMILAR_LABELS).message
    assert "differ only in how Unicode writes them: import with the cleaning step `merge-labels`" in told
    assert "rename" not in told
    merged = merge_labels(list(placed(splits)))
    assert not {composed, decomposed} <= {row.label for row in merged if row}


def test_rare_unproved_and_unbalanced_labels_are_found() -> None:
    """Each says what to do about it."""
    splits = clean()
    splits["train"] += rows("fraud", range(1100, 1103)) + rows("other", range(2000, 2080))
    found = {finding.kind: finding for finding in inspect_splits(splits)}
    assert set(found) == {Kind.RARE_LABEL, Kind.UNPROVED_LABEL, Kind.IMBALANCE}
    assert found[Kind.RARE_LABEL].places == ("train:61", "train:62", "train:63")
    assert "'fraud', 'other'" in found[Kind.UNPROVED_LABEL].message
    assert "'other' has 80" in found[Kind.IMBALANCE].message


def test_an_id_on_two_rows_is_found() -> None:
    """In whatever splits they stand, with all their places; rows without an id share none."""
    splits = clean()
    splits["train"][:2] = [replace(row, id=f"row {n}") for n, row in enumerate(splits["train"][:2])]
    assert inspect_splits(splits) == []
    splits["test"][4] = replace(splits["test"][4], id="row 1")
    finding = only(inspect_splits(splits), Kind.REPEATED_ID)
    assert (finding.count, finding.places) == (2, ("train:2", "test:5"))


def test_a_column_that_a_split_is_not_scored_by_is_told() -> None:
    """One value too many in test, as many as may be in validation; train and rows out of scope are not scored by any."""
    splits = clean()
    splits["train"] += [
        replace(row, columns=(("order", str(i)),)) for i, row in enumerate(rows("refund", range(3000, 3500)))
    ]
    columns = [(("domain", "money"), ("order", str(i))) for i in range(MOST_VALUES + 1)]
    of_test = rows("refund", range(4000, 4000 + MOST_VALUES + 1))
    splits["test"] = [replace(row, columns=each) for row, each in zip(of_test, columns, strict=True)]
    of_validation = rows("refund", range(6000, 6000 + MOST_VALUES))
    splits["validation"] += [
        replace(row, columns=each) for row, each in zip(of_validation, columns[:-1], strict=True)
    ]
    splits["validation"].append(Row(text(9000), out_of_scope=True, columns=columns[-1]))
    found = [each for each in inspect_splits(splits) if each.kind == Kind.UNSCORED_COLUMN]
    (told,) = found
    assert told.count == MOST_VALUES + 1
    assert "test is not scored by the column 'order', which has 201 different values" in told.message


def test_splits_that_prove_little_are_told() -> None:
    """Few rows to validate by, none to test with."""
    splits = {**clean(), "validation": clean()["validation"][5:20], "test": []}
    small, none = inspect_splits(splits)
    assert (small.kind, small.count, none.kind) == (Kind.SMALL_VALIDATION, 15, Kind.NO_TEST)


def test_that_near_texts_were_not_looked_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal ones are, however many there are."""
    monkeypatch.setattr("shared.data.inspection.repeats.MOST_COMPARED", 10)
    splits = clean()
    splits["train"] += [Row(text(100).upper(), label="refund"), Row(f"{text(101)} ok", label="refund")]
    assert {finding.kind for finding in inspect_splits(splits)} == {Kind.DUPLICATE, Kind.NOT_COMPARED}


def about_rows(splits: dict[SplitName, list[Row]]) -> list[Finding]:
    """What is found, the sizes of splits apart."""
    return [each for each in inspect_splits(splits) if each.kind not in (Kind.SMALL_VALIDATION, Kind.NO_TEST)]


def _mentions(shift: int = 0) -> list[Row]:
    sentences = [f"{text(number)} in Lisbon today" for number in range(100, 130)]
    return [
        Row(each, entities=(Span(each.index("Lisbon") + shift, each.index(" today") + shift, "city"),))
        for each in sentences
    ]


def test_offsets_that_are_off_by_one_are_found() -> None:
    """They cut words."""
    splits: dict[SplitName, list[Row]] = {"train": _mentions(), "validation": _mentions()[:0]}
    splits["validation"] = [Row(f"to Porto with {text(300)}", entities=(Span(3, 8, "city"),))]
    assert about_rows(splits) == []
    splits["train"][:5] = _mentions(shift=1)[:5]
    finding = next(each for each in about_rows(splits) if each.kind is Kind.CUT_WORD)
    assert (finding.count, finding.places[0]) == (5, "train:1")


def test_a_mention_that_was_passed_over_is_found() -> None:
    """A word that is marked nearly everywhere; one that is often none is left alone."""
    validation = [Row(f"to Porto with {text(300)}", entities=(Span(3, 8, "city"),))]
    passed_over = Row(f"{text(400)} near Lisbon", entities=())
    finding = only(
        about_rows({"train": [*_mentions(), passed_over], "validation": validation}), Kind.UNMARKED_MENTION
    )
    assert finding.places == ("train:31",)
    often = [Row(f"{text(number)} near Lisbon", entities=()) for number in range(500, 520)]
    assert about_rows({"train": [*_mentions(), *often], "validation": validation}) == []


def test_words_of_a_script_without_spaces_are_not_cut() -> None:
    """In Chinese an entity has letters on both sides."""
    row = Row("我要去北京旅游", entities=(Span(3, 5, "city"),))
    assert about_rows({"train": [row], "validation": []})[0].kind is not Kind.CUT_WORD


def test_an_extractors_texts_may_differ_in_a_slot() -> None:
    """That is what it learns from: no near conflict, and no near duplicate."""
    one = "please book the large table in Lisbon for tomorrow evening at eight"
    other = one.replace("Lisbon", "London")
    train = [Row(each, entities=(Span(31, 37, "city"),)) for each in (one, other)]
    kinds = {finding.kind for finding in about_rows({"train": train, "validation": []})}
    assert not {kind for kind in kinds if "NEAR" in kind}


@given(st.lists(st.text(min_size=1, max_size=60), max_size=12))
def test_findings_hold_no_text_of_a_row(texts: list[str]) -> None:
    """Whatever the texts: they are users'. They are longer than any word of ours."""
    secret = "zqxj"
    train = [Row(f"{secret} {each} {secret}", label=str(number % 3)) for number, each in enumerate(texts)]
    assert secret not in repr(about_rows({"train": train * 2, "validation": train}))


@given(st.text(max_size=40))
def test_spaces_around_a_text_change_nothing(given_text: str) -> None:
    """Whatever it is made of."""
    if given_text.strip():
        assert canonical(given_text) == canonical(f" {given_text}  ")


@given(st.lists(st.text("abc ", min_size=20, max_size=30), unique=True, max_size=15))
def test_near_pairs_are_near(texts: list[str]) -> None:
    """Whatever hashing proposes, only what was measured is told; each pair once."""

    def grams(of: str) -> set[str]:
        return {of[at : at + 5] for at in range(len(of) - 4)}

    pairs = list(near_pairs(texts))
    assert len(set(pairs)) == len(pairs)
    for one, other in pairs:
        assert one < other
        mine, theirs = grams(texts[one]), grams(texts[other])
        assert len(mine & theirs) / len(mine | theirs) >= NEAR
