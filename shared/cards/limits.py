"""What a version is for and where it ends, in sentences: each follows from the manifest, and none from anything else."""

from collections.abc import Iterator, Sequence
from typing import Final

from shared.cards.facts import Facts
from shared.data.inspection.findings import Kind
from shared.store.manifest import FEWEST_CALIBRATED_ROWS

_MOST_NAMED: Final = 5  # labels of a sentence; tables have them all
_FEW: Final = 10  # rows of a label, below which its score is mostly chance

_LEAKS: Final = {
    Kind.LEAK: "Rows of validation and test whose text stands in another split too",
    Kind.LEARNT_BEFORE: "Rows of validation and test that an older version had learnt, from which this one goes on or with which it was compared",
}

TASK_WORDS: Final = {
    "classification": "a text classifier with one label for each text",
    "multi-label": "a text classifier with several labels for each text, or none",
    "entities": "an entity extractor",
}


def purpose(facts: Facts) -> str:
    """Say what the version does with a text."""
    count = len(facts.manifest.labels)
    labels = f"{count} label{'' if count == 1 else 's'}"
    if facts.manifest.task == "entities":
        return f"It marks entities of {labels} in a text: spans of whole words, which do not overlap."
    if facts.manifest.task == "multi-label":
        return f"It gives a text any of {labels}, or none: each label has a probability and a threshold of its own."
    if facts.unknown_below is None:
        return f"It gives a text one of {labels}."
    return (
        f"It gives a text one of {labels}, or none where its best score is below {facts.unknown_below:.3f}:"
        " then the text is taken to belong to none of them."
    )


def limits(facts: Facts) -> Iterator[str]:
    """Say what is not to be expected of the version."""
    manifest = facts.manifest
    if manifest.state == "rejected":
        yield "The export gate refused it: no alias moves to it, and nothing serves it."
    yield from _of_what_was_measured(facts)
    if manifest.task == "classification" and facts.unknown_below is None:
        yield "It has no answer for texts that belong to none of its labels: it gives them one of them too."
    tokens = manifest.tokenization
    yield (
        f"It reads {tokens.max_tokens} tokens at once; a longer text is read in windows that share"
        f" {tokens.stride_tokens} tokens"
        + ("." if manifest.task == "entities" else ", and answered by the mean of their logits.")
    )
    yield from _of_labels(facts)
    yield from _of_groups(facts)


def _of_what_was_measured(facts: Facts) -> Iterator[str]:
    evaluation, split = facts.evaluation, facts.split
    if evaluation is None or split is None:
        yield "The manifest has no scores of it."
        return
    yield (
        f"Its scores are those of {evaluation.row_count} {split} rows of its own dataset; they say nothing of texts of"
        " another kind."
    )
    if split == "validation":
        yield "There were no test rows: its scores are of the rows that it was chosen by, and so rather too good."
    chosen_by = facts.manifest.evaluations["fp32"].get("validation")
    if (
        chosen_by
        and chosen_by.row_count < FEWEST_CALIBRATED_ROWS
        and facts.manifest.decoding.temperature == 1
    ):
        yield (
            f"Its probabilities are not calibrated: no temperature is fitted on fewer than {FEWEST_CALIBRATED_ROWS} validation rows,"
            f" and there were {chosen_by.row_count}."
        )
    yield from _of_leaks(facts)
    unseen = evaluation.metrics.get("unseen_span_recall")
    if unseen is not None:
        yield f"Of entities whose words were no entity in training it finds {unseen:.1%}."


def _of_leaks(facts: Facts) -> Iterator[str]:
    counts = {
        kind: max((each.count for each in facts.manifest.findings if each.kind == kind), default=0)
        for kind in _LEAKS
    }
    for kind, count in counts.items():
        if count:
            yield f"{_LEAKS[kind]}: {count}. Scores of these prove nothing, and make those of all rather too good."


def _of_labels(facts: Facts) -> Iterator[str]:
    if facts.evaluation is None:
        return
    unproved = [each.label for each in facts.labels if not each.scores.support]
    if unproved:
        yield f"No {facts.split} row has {_named(unproved)}: nothing is known of how it answers them."
    few = [each.label for each in facts.labels if 0 < each.scores.support < _FEW]
    if few:
        yield f"Fewer than {_FEW} {facts.split} rows have {_named(few)}: their scores are mostly chance."
    weak = [each for each in facts.labels if each.scores.support >= _FEW and each.scores.f1 < 1][:3]
    if weak and len(facts.labels) > 1:
        told = [f"{each.label} (F1 {each.scores.f1:.3f}, {each.scores.support} rows)" for each in weak]
        yield f"It is weakest at {_named(told)}."


def _of_groups(facts: Facts) -> Iterator[str]:
    if facts.evaluation is None:
        return
    if not facts.columns:
        yield "No column of the rows was scored by its values: whether it serves some groups worse than others is not known."
    for column in facts.columns:
        if column.is_clear:
            yield (
                f"By {column.name}, it is worst for {column.worst.value} ({column.worst.metric:.3f}) and best for"
                f" {column.best.value} ({column.best.metric:.3f}), further apart than chance would explain (95 % intervals)."
            )


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
