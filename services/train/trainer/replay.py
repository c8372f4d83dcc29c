"""Rows of what a version learnt from, drawn to stand beside new ones, so that what was known is not forgotten (arXiv:1811.11682). Pure.

A row is drawn only if its text is in no split of the new dataset, and if the new version knows all of its labels. Rows out of scope are drawn where the
new dataset has none, so that a version that abstained goes on to do so.
"""

import random
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from services.train.spec import Continuation
from services.train.trainer.corpus import Corpus
from shared.data.inspection.likeness import canonical
from shared.data.rows import SPLIT_NAMES, Row, Span, SplitName

FEWEST_OUT_OF_SCOPE: Final = (
    50  # rows of a split, where there are so many: from fewer a threshold is chosen by chance
)
CHOSEN_ON: Final[tuple[SplitName, ...]] = ("train", "validation")  # what weights and thresholds are chosen by


def renamed_rows(rows: Sequence[Row], renames: Mapping[str, str]) -> list[Row]:
    """Give the labels of rows their new names."""
    if not renames:
        return list(rows)

    def now(label: str) -> str:
        return renames.get(label, label)

    return [
        replace(
            row,
            label=None if row.label is None else now(row.label),
            label_set=None if row.label_set is None else tuple(sorted(map(now, row.label_set))),
            entities=None
            if row.entities is None
            else tuple(Span(span.start, span.end, now(span.label)) for span in row.entities),
        )
        for row in rows
    ]


def unknown_rows(
    corpus: Corpus, rows: Sequence[Row], splits: Collection[SplitName] = SPLIT_NAMES
) -> list[Row]:
    """Return those of `rows` that a version of `corpus` could be asked about, and whose text stands in none of its `splits`."""
    known = {canonical(row.text) for split in splits for row in corpus.all_rows.get(split, ())}
    return [row for row in rows if set(row.labels) <= set(corpus.labels) and canonical(row.text) not in known]


def join(
    corpus: Corpus, old: Mapping[SplitName, Sequence[Row]], asked: Continuation, *, seed: int
) -> tuple[Corpus, int]:
    """Return the corpus to train on, and how many of its train rows, and rows out of scope, are drawn from `old`, whose labels have their new names.

    With `keeps_labels` its labels are those of both, and validation gets rows of those that it lacks. `old` holds rows out of scope too.
    """
    old, strays = in_scope(old), out_of_scope(old)
    labels = set(corpus.labels)
    if asked.keeps_labels:
        labels |= {label for row in old["train"] for label in row.labels}
    joined = replace(corpus, labels=tuple(sorted(labels)))
    splits = dict(corpus.splits)
    drawn = spread(unknown_rows(joined, old["train"]), round(asked.replay_share * len(splits["train"])), seed)
    splits["train"] = [*splits["train"], *drawn]
    if asked.keeps_labels:
        proved = {label for row in splits["validation"] for label in row.labels}
        lacking = [row for row in unknown_rows(joined, old["validation"]) if not set(row.labels) <= proved]
        wanted = round(asked.replay_share * len(splits["validation"]))
        splits["validation"] = [*splits["validation"], *spread(lacking, wanted, seed)]
    refused = _refused(joined, strays, asked.replay_share, seed)
    replayed = len(drawn) + sum(map(len, refused.values()))
    return replace(joined, splits=splits, out_of_scope={**corpus.out_of_scope, **refused}), replayed


def in_scope(rows: Mapping[SplitName, Sequence[Row]]) -> dict[SplitName, list[Row]]:
    """Return the rows that have a place among the labels."""
    return {split: [row for row in of_split if not row.out_of_scope] for split, of_split in rows.items()}


def out_of_scope(rows: Mapping[SplitName, Sequence[Row]]) -> dict[SplitName, list[Row]]:
    """Return the rows that belong to none of the labels."""
    return {split: [row for row in of_split if row.out_of_scope] for split, of_split in rows.items()}


def _refused(
    corpus: Corpus, old: Mapping[SplitName, Sequence[Row]], share: float, seed: int
) -> dict[SplitName, list[Row]]:
    """Draw rows out of scope for train and validation, which the threshold is chosen on, where `corpus` has none."""
    chosen: dict[SplitName, list[Row]] = {}
    for split in CHOSEN_ON if share else ():
        if not corpus.out_of_scope.get(split):
            wanted = max(FEWEST_OUT_OF_SCOPE, round(share * len(corpus.splits[split])))
            chosen[split] = spread(unknown_rows(corpus, old.get(split, ())), wanted, seed)
    return chosen


def spread(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """Draw so many rows at most, evenly over their labels: each in turn gives one of its rows, in drawn order."""
    dice = random.Random(seed)  # noqa: S311  # which rows are replayed
    of_label: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in dice.sample(list(rows), len(rows)):
        of_label[row.labels[:1]].append(row)
    turns = (
        of_label[label][turn]
        for turn in range(len(rows))
        for label in sorted(of_label)
        if turn < len(of_label[label])
    )
    return [row for row, _ in zip(turns, range(count), strict=False)]
