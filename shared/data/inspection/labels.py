"""Labels that are rare, that nothing proves, and that look like one label spelt in two ways."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

from rapidfuzz.distance import DamerauLevenshtein

from shared.data.inspection.findings import Finding, Kind, Placed, places
from shared.data.inspection.likeness import canonical, folded_label

FEW: Final = 8  # rows of train; fewer say little of what a label means
IMBALANCED: Final = 20.0  # the most frequent label's rows to the rarest one's
_SHORTEST: Final = 6  # letters of a label in which one may be a slip
_MOST_NAMED: Final = 10
_MOST_COMPARED: Final = 2_000  # labels: all pairs of more would take seconds


def labels(rows: Sequence[Placed]) -> Iterator[Finding]:
    """Look at the labels of train, and at whether validation has them too."""
    of_split = {split: _counts(rows, split) for split in ("train", "validation")}
    train, validation = of_split["train"], of_split["validation"]
    yield from _rare(rows, train)
    yield from _imbalance(train)
    unproved = sorted(train.keys() - validation.keys())
    if unproved:
        yield Finding(
            Kind.UNPROVED_LABEL,
            f"{_named(unproved)}: no row of validation has it, so that neither early stopping nor the gate sees it; move a few rows there",
            len(unproved),
        )
    for one, other in _similar(train):
        rarer = min(one, other, key=lambda label: (train[label], label))
        yield Finding(
            Kind.SIMILAR_LABELS,
            f"labels {one!r} ({train[one]}x) and {other!r} ({train[other]}x) {_difference(one, other, rarer)}",
            train[rarer],
            places(placed for placed in rows if rarer in placed.row.labels),
        )


def _counts(rows: Sequence[Placed], split: str) -> Counter[str]:
    return Counter(label for placed in rows if placed.split == split for label in placed.row.labels)


def _rare(rows: Sequence[Placed], train: Counter[str]) -> Iterator[Finding]:
    rare = {label for label, count in train.items() if count < FEW}
    if rare:
        yield Finding(
            Kind.RARE_LABEL,
            f"{_named(sorted(rare))}: fewer than {FEW} examples in train; add some, or merge it with another",
            len(rare),
            places(
                placed
                for placed in rows
                if placed.split == "train" and not rare.isdisjoint(placed.row.labels)
            ),
        )


def _imbalance(train: Counter[str]) -> Iterator[Finding]:
    if not train:
        return
    (most, most_count), (least, least_count) = train.most_common()[0], train.most_common()[-1]
    if most_count >= IMBALANCED * least_count:
        yield Finding(
            Kind.IMBALANCE,
            f"{most!r} has {most_count} examples in train and {least!r} {least_count}: watch the scores by label, not accuracy alone",
            2,
        )


def _similar(train: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yield labels that are equal but for case and punctuation, or, if both are long enough, but for one letter that is no digit."""
    plain = {label: canonical(label) for label in sorted(train)[:_MOST_COMPARED]}
    for one, other in combinations(plain, 2):
        a, b = plain[one], plain[other]
        if a == b or (
            min(len(a), len(b)) >= _SHORTEST
            and abs(len(a) - len(b)) <= 1
            and _digits(a) == _digits(b)
            and DamerauLevenshtein.distance(a, b, score_cutoff=1) == 1
        ):
            yield one, other


def _difference(one: str, other: str, rarer: str) -> str:
    """Say by what two labels differ, and what to do; labels that look the same cannot be told apart by their names."""
    if unicodedata.normalize("NFKC", one) == unicodedata.normalize("NFKC", other):
        return "differ only in how Unicode writes them: import with the cleaning step `merge-labels`, which makes them one"
    merged = ", or import with the cleaning step `merge-labels`"
    return f"differ by a slip or by case: if they are one, rename {rarer!r}{merged if folded_label(one) == folded_label(other) else ''}"


def _digits(label: str) -> str:
    return "".join(character for character in label if character.isdigit())


def _named(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _MOST_NAMED} more" if len(labels) > _MOST_NAMED else ""
    return ", ".join(map(repr, labels[:_MOST_NAMED])) + more
