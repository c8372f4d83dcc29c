"""What an inspection finds, in words that an analyst can act on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.data.rows import Row, SplitName

MOST_PLACES: Final = 20  # that a finding names; `count` counts them all


class Kind(StrEnum):
    """What is doubtful, the gravest first; see Finding.Kind of the proto."""

    CONFLICT = "CONFLICT"
    NEAR_CONFLICT = "NEAR_CONFLICT"
    LEAK = "LEAK"
    NEAR_LEAK = "NEAR_LEAK"
    LEARNT_BEFORE = "LEARNT_BEFORE"
    ABSTENTION_LOST = "ABSTENTION_LOST"
    PARENT_UNREADABLE = "PARENT_UNREADABLE"
    UNKNOWN_TOKENS = "UNKNOWN_TOKENS"
    FOREIGN_LANGUAGE = "FOREIGN_LANGUAGE"
    CUT_WORD = "CUT_WORD"
    UNMARKED_MENTION = "UNMARKED_MENTION"
    SIMILAR_LABELS = "SIMILAR_LABELS"
    UNPROVED_LABEL = "UNPROVED_LABEL"
    SMALL_VALIDATION = "SMALL_VALIDATION"
    NO_TEST = "NO_TEST"
    UNSCORED_COLUMN = "UNSCORED_COLUMN"
    DIRTY_TEXT = "DIRTY_TEXT"
    REPEATED_ID = "REPEATED_ID"
    RARE_LABEL = "RARE_LABEL"
    IMBALANCE = "IMBALANCE"
    DUPLICATE = "DUPLICATE"
    NEAR_DUPLICATE = "NEAR_DUPLICATE"
    NOT_COMPARED = "NOT_COMPARED"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something doubtful about some rows."""

    kind: Kind
    message: str  # what it is, and what to do
    count: int  # of rows, labels or values that it is about
    places: tuple[str, ...] = ()  # of the first rows that it is about, such as `train.csv:17`


@dataclass(frozen=True, slots=True)
class Placed:
    """A row and where it is."""

    row: Row
    split: SplitName
    number: int  # in its split, from 1

    @property
    def place(self) -> str:
        """Its place in a file, or that in its snapshot."""
        return self.row.where or f"{self.split}:{self.number}"


def placed(splits: Mapping[SplitName, Sequence[Row]]) -> list[Placed]:
    """Give every row its place."""
    return [
        Placed(row, split, number)
        for split, rows in splits.items()
        for number, row in enumerate(rows, start=1)
    ]


def by_gravity(findings: Iterable[Finding]) -> list[Finding]:
    """Sort, the gravest first."""
    order = list(Kind)
    return sorted(findings, key=lambda finding: order.index(finding.kind))


def places(rows: Iterable[Placed]) -> tuple[str, ...]:
    """Name the first of `rows`."""
    return tuple(each.place for each, _ in zip(rows, range(MOST_PLACES), strict=False))
