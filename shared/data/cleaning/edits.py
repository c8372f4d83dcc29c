"""Changing a text and keeping its spans on what they marked.

A text step tells its edits: disjoint, rising parts of the text and what stands there instead. A span may begin or end where an edit does,
never inside one: half of what is replaced has no place in the new text. So the surface of a span in the new text is the new text of
its surface alone, which is the promise that the tests hold every step to.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from shared.data.formats.record import LineError
from shared.data.rows import Row, Span


@dataclass(frozen=True, slots=True)
class Edit:
    """Code points `[start, end)` of a text, at least one, become `new`."""

    start: int
    end: int
    new: str


def edited(row: Row, edits: Sequence[Edit], *, step: str) -> Row:
    """Return the row with its text edited and its spans moved along; spans lie within the text, and none is empty.

    Raises LineError, which names `step`, for a span that an edit cuts, or of which nothing to read would be left.
    """
    if not edits:
        return row
    text = _new_text(row.text, edits)
    if not row.entities:
        return replace(row, text=text)
    ends = [edit.end for edit in edits]
    shifts = [0, *accumulate(len(edit.new) - (edit.end - edit.start) for edit in edits)]

    def moved(at: int, name: str) -> int:
        passed = bisect_right(ends, at)
        if passed < len(edits) and edits[passed].start < at:
            raise LineError(f"{name} begins or ends inside of what cleaning step {step} replaces")
        return at + shifts[passed]

    spans: list[Span] = []
    for index, span in enumerate(row.entities):
        name = f"entities[{index}]"
        now = Span(moved(span.start, name), moved(span.end, name), span.label)
        if row.text[span.start : span.end].strip() and not text[now.start : now.end].strip():
            raise LineError(f"{name} holds nothing but what cleaning step {step} takes out")
        spans.append(now)
    return replace(row, text=text, entities=tuple(spans))


def _new_text(text: str, edits: Sequence[Edit]) -> str:
    pieces: list[str] = []
    at = 0
    for edit in edits:
        pieces += (text[at : edit.start], edit.new)
        at = edit.end
    return "".join((*pieces, text[at:]))
