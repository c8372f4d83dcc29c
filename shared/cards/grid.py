"""A confusion matrix as a table whose cells are shaded by their share of the label's rows."""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.cards.facts import Facts

MOST_LABELS: Final = 12  # of a matrix that is drawn whole; of more, the pairs that are confused say more
_SHADES: Final = 5


class Cell(NamedTuple):
    """Rows of one label with one answer."""

    row_count: int
    heat: int  # 0 (none) to 5 (nearly all rows of the label)


class GridRow(NamedTuple):
    """What the rows of a label were answered with."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """The whole matrix."""

    answers: tuple[str, ...]  # of the columns; the last may be empty: nothing was answered
    rows: tuple[GridRow, ...]


def confusion_grid(facts: Facts) -> Grid | None:
    """Return the matrix of a classifier with few labels; None for any other."""
    labels = facts.manifest.labels
    if facts.evaluation is None or not facts.evaluation.confusion or len(labels) > MOST_LABELS:
        return None
    counts = {(true, answered): count for true, answered, count in facts.evaluation.confusion}
    answers = (*labels, "") if any(not answered for _, answered in counts) else labels
    rows = []
    for label in labels:
        of_label = [counts.get((label, answer), 0) for answer in answers]
        total = max(sum(of_label), 1)
        rows.append(
            GridRow(label, tuple(Cell(count, math.ceil(_SHADES * count / total)) for count in of_label))
        )
    return Grid(answers, tuple(rows))
