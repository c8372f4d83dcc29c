"""The split of HateCheck by template, and what the table tells of slices."""

from collections import Counter

from tests.bench.slices import lines, split_of


def test_a_template_has_one_split_and_about_a_fifth_are_test() -> None:
    """The hash alone decides, today as ever."""
    assert [split_of(str(template)) for template in range(5)] == [
        "validation",
        "test",
        "test",
        "train",
        "train",
    ]
    counts = Counter(split_of(str(template)) for template in range(2000))
    assert all(350 < counts[split] < 450 for split in ("validation", "test"))
    assert 1100 < counts["train"] < 1300


def test_the_table_names_the_worst_and_the_best_of_each_column() -> None:
    """Of both sets, with their rows and intervals."""
    told = "\n".join(lines())
    for column in ("functionality", "target_ident", "direction", "identity", "identity_group"):
        assert f"| {column} |" in told
    assert "rows |" in told
