"""The named steps, their order, and what they did to the rows of an import.

Steps run in the order of STEPS whatever the order of their names: text steps again and again until none finds anything, because one may
uncover work for another, then steps of one row, before rows are checked; then steps over all rows, once these have their splits. So rows
that were cleaned come out of the same steps as they are; but for tags that were escaped, which are words of the text once they are read.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.data.cleaning import repeats, spans
from shared.data.cleaning.characters import collapse_white_space, drop_control_characters, nfc
from shared.data.cleaning.edits import Edit, edited
from shared.data.cleaning.markup import unescape_html, unescape_references
from shared.data.formats.record import LineError
from shared.data.inspection.findings import MOST_PLACES, Placed, placed
from shared.data.rows import Row, SplitName

TEXT_STEPS: Final[Mapping[str, Callable[[str], Iterator[Edit]]]] = {
    "drop-control-characters": drop_control_characters,
    "unescape-html": unescape_html,
    "nfc": nfc,
    "collapse-white-space": collapse_white_space,
}
# What a step does from the second round on: tags that the first one read out of `&lt;b&gt;` are no markup.
_LATER: Final[Mapping[str, Callable[[str], Iterator[Edit]]]] = {"unescape-html": unescape_references}
ROW_STEPS: Final[Mapping[str, Callable[[Row], Row]]] = {
    "trim-spans": spans.trim_spans,
    "snap-spans": spans.snap_spans,
    "trim-labels": spans.trim_labels,
}
DATASET_STEPS: Final[Mapping[str, Callable[[Sequence[Placed]], list[Row | None]]]] = {
    "merge-labels": repeats.merge_labels,
    "drop-duplicates": repeats.drop_duplicates,
    "drop-leaks": repeats.drop_leaks,
}
STEPS: Final = (*TEXT_STEPS, *ROW_STEPS, *DATASET_STEPS)

_MOST_ROUNDS: Final = 10  # of text steps; each takes one layer of `&amp;amp;`


@dataclass(frozen=True, slots=True)
class StepReport:
    """What a step did to an import."""

    step: str
    changed_count: int  # rows that it changed and kept
    dropped_count: int  # rows that it took out
    places: tuple[str, ...]  # of the first of both, such as `train.csv:17`


class Cleaning:
    """The steps of one import, and what they have done so far. Used by one thread."""

    def __init__(self, steps: Iterable[str]) -> None:
        """`steps` are names of STEPS, in any order."""
        asked = set(steps)
        self.steps = tuple(step for step in STEPS if step in asked)
        self._changed: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._places: dict[str, list[str]] = {step: [] for step in self.steps}

    def mend(self, row: Row) -> Row:
        """Apply text and row steps to a row, which knows where it is. Raises LineError if a span would lose its meaning.

        A row with a span that lies outside of its text, or is empty, stays as it is: nobody knows what was meant.
        """
        if not _is_sound(row):
            return row
        worked: dict[str, None] = {}  # the steps that changed it, each once
        row = self._mend_text(row, worked)
        for step, mend in ROW_STEPS.items():
            if step in self.steps:
                before, row = row, mend(row)
                if row is not before:
                    worked[step] = None
        for step in worked:
            self._changed[step] += 1
            self._place(step, row.where)
        return row

    def sift(self, splits: Mapping[SplitName, Sequence[Row]]) -> dict[SplitName, list[Row]]:
        """Apply the steps over all rows; rows stay in their splits and in their order."""
        sifted = {split: list(rows) for split, rows in splits.items()}
        for step, decide in DATASET_STEPS.items():
            if step not in self.steps:
                continue
            before = placed(sifted)
            sifted = {split: [] for split in sifted}
            for each, row in zip(before, decide(before), strict=True):
                if row is None:
                    self._dropped[step] += 1
                else:
                    sifted[each.split].append(row)
                    self._changed[step] += row is not each.row
                if row is not each.row:
                    self._place(step, each.place)
        return sifted

    def reports(self) -> list[StepReport]:
        """Tell what each step did, in their order; of a step that found nothing to do, that."""
        return [
            StepReport(step, self._changed[step], self._dropped[step], tuple(self._places[step]))
            for step in self.steps
        ]

    def _mend_text(self, row: Row, worked: dict[str, None]) -> Row:
        steps = {step: find for step, find in TEXT_STEPS.items() if step in self.steps}
        for _ in range(_MOST_ROUNDS):
            before = row
            for step, find in steps.items():
                if edits := list(find(row.text)):
                    row = edited(row, edits, step=step)
                    worked[step] = None
            if row is before:
                return row
            steps |= {step: find for step, find in _LATER.items() if step in steps}
        raise LineError(
            f"the text is not clean after {_MOST_ROUNDS} rounds of {', '.join(steps)}: its HTML is nested too deep"
        )

    def _place(self, step: str, place: str) -> None:
        if len(self._places[step]) < MOST_PLACES:
            self._places[step].append(place)


def _is_sound(row: Row) -> bool:
    return all(0 <= span.start < span.end <= len(row.text) for span in row.entities or ())
