"""Which split a row belongs to, and what makes a whole dataset unusable.

A row without a split of its own goes by the SHA-256 of its text, so it stays where it is when the dataset grows, whatever the
order of the rows, and equal texts of such rows are never on both sides. A row with a split of its own stays in it, but for one case:
while no row could be for validation, the train rows of the validation bucket stand in, and they go back to train when one comes. Pure.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from shared.data.rows import SPLIT_NAMES, Row, SplitName
from shared.errors import Problem
from shared.store.manifest import Task

# The tenth of all texts that validates and the tenth that tests, as buckets 0 to 9 of their hashes.
_SPLIT_BY_BUCKET: Mapping[int, SplitName] = {8: "validation", 9: "test"}
_MOST_LABELS_NAMED = 20


def assign_splits(rows: Sequence[Row]) -> dict[SplitName, list[Row]]:
    """Return the rows of each split (all three names are there), in the order given: by its own split, else by its hash.

    Where no row could be for validation (all have a split and none has that one), the train rows of the validation bucket are:
    the rows that would validate if they had no split.
    """
    validates = any(row.split in {None, "validation"} for row in rows)
    splits: dict[SplitName, list[Row]] = {name: [] for name in SPLIT_NAMES}
    for row in rows:
        split = row.split or _split_by_hash(row.text)
        if not validates and split == "train" and _split_by_hash(row.text) == "validation":
            split = "validation"
        splits[split].append(row)
    return splits


def check_dataset(splits: Mapping[SplitName, Sequence[Row]], task: Task) -> list[Problem]:
    """Return everything that makes the splits unusable for `task` although each row is good.

    The field is the split's name, or the place of the first row that the problem is about.
    """
    splits = {name: [row for row in rows if not row.out_of_scope] for name, rows in splits.items()}
    empty = [name for name in ("train", "validation") if not splits.get(name)]
    if empty:
        return [
            Problem(
                name,
                "has no rows; add rows (a tenth of the texts validates, by hash) or name the split of some",
            )
            for name in empty
        ]
    counts = {name: Counter(label for row in rows for label in row.labels) for name, rows in splits.items()}
    return [*_label_problems(counts, task), *_unknown_label_problems(splits, counts)]


def _label_problems(counts: Mapping[SplitName, Counter[str]], task: Task) -> Iterator[Problem]:
    if task == "multi-label":
        if not counts["train"]:
            yield Problem("train", "no row has a label")
        return
    if task == "classification":
        if len(counts["train"]) < 2:
            yield Problem(
                "train",
                f"all rows have the one label {next(iter(counts['train']))!r}; two or more are needed",
            )
        return
    for name in ("train", "validation"):
        if not counts[name]:
            yield Problem(name, "no row has an entity")


def _unknown_label_problems(
    splits: Mapping[SplitName, Sequence[Row]], counts: Mapping[SplitName, Counter[str]]
) -> Iterator[Problem]:
    for name in ("validation", "test"):
        unknown = sorted(counts.get(name, Counter()).keys() - counts["train"].keys())
        for label in unknown[:_MOST_LABELS_NAMED]:
            first = next(row for row in splits[name] if label in row.labels)
            yield Problem(
                first.where or name,
                f"label {label!r} ({counts[name][label]}x in {name}) never occurs in train; add train rows of it, or mend its spelling",
            )
        if more := unknown[_MOST_LABELS_NAMED:]:
            yield Problem(name, f"{len(more)} more labels never occur in train")


def _split_by_hash(text: str) -> SplitName:
    bucket = int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "big") % 10
    return _SPLIT_BY_BUCKET.get(bucket, "train")
