"""Which validation texts a version keeps as golden examples."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from services.train.trainer.serving import MOST_GOLDEN_EXAMPLES, SPREAD_GOLDEN_EXAMPLES, choose_golden
from tests.integration.trainer.world import Workplace, splits_of

ANSWERS = st.lists(st.frozensets(st.sampled_from("abcdefghij"), max_size=3), max_size=200)


@given(ANSWERS)
def test_every_label_has_a_golden_example(answers: list[frozenset[str]]) -> None:
    """A label that any decisive text was answered with is among the golden examples: swapped labels cannot slip through."""
    chosen = choose_golden(answers)
    assert {label for i in chosen for label in answers[i]} == {label for each in answers for label in each}
    assert chosen == sorted(set(chosen))
    assert len(chosen) >= min(len(answers), SPREAD_GOLDEN_EXAMPLES)


def test_golden_examples_are_few_and_spread() -> None:
    """They are users' texts: not more of them than labels and a spread need, and never more than the limit."""
    assert choose_golden([frozenset("a")] * 160) == [0, *range(1, 150, 10)]
    assert len(choose_golden([frozenset({str(i)}) for i in range(500)])) == MOST_GOLDEN_EXAMPLES
    assert choose_golden([]) == []


def test_a_version_may_keep_no_text_at_all(workplace: Workplace, tiny_base: Path) -> None:
    """Trained without golden examples, its manifest holds no text of any row, and it loads and is probed all the same."""
    assignment = workplace.assign(tiny_base, "classification", adaptable=False)
    spec = assignment.spec.model_copy(update={"without_golden_examples": True})
    manifest = workplace.train(assignment.model_copy(update={"spec": spec})).manifest
    assert manifest.golden_examples == ()
    document = manifest.model_dump_json()
    rows = [row for of_split in splits_of("classification").values() for row in of_split]
    assert [row.text for row in rows if " " in row.text and row.text in document] == []
    workplace.load(manifest).probe()
