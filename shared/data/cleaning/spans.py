"""Row steps about spans and labels, whose text stays as it is."""

import unicodedata
from dataclasses import replace
from typing import Final

from shared.data.inspection.mentions import cuts_word
from shared.data.rows import Row, Span

_FIRST_SCRIPT_WITH_PARTICLES: Final = 0x0590  # Hebrew, Arabic ...: one letter may be a word of its own
# How far (start, end) move: all offsets are one too high, or too low; ends count the last character in; starts count from one. Never do two of
# them make whole words of one span.
_SLIPS: Final = ((-1, -1), (1, 1), (0, 1), (-1, 0))


def trim_spans(row: Row) -> Row:
    """Take white space off the ends of spans; one of nothing else stays, and is refused."""
    if row.entities is None:
        return row
    return _with_spans(row, [_trimmed(row.text, span) for span in row.entities])


def _trimmed(text: str, span: Span) -> Span:
    surface = text[span.start : span.end]
    if not surface.strip():
        return span
    start = span.start + len(surface) - len(surface.lstrip())
    return Span(start, start + len(surface.strip()), span.label)


def snap_spans(row: Row) -> Row:
    """Move spans that cut a word and are off by one code point: shifted by one, or one letter short at an end.

    All else stays: where a digit meets a letter (the 5 of `5m` may be meant), scripts that write particles and words together, and moves onto
    another span. The words that a span touches are what is learnt of it in any case; a shift brings in others.
    """
    if not row.entities:
        return row
    taken = {at for span in row.entities for at in range(span.start, span.end)}
    return _with_spans(row, [_snapped(row.text, span, taken) for span in row.entities])


def _snapped(text: str, span: Span, taken: set[int]) -> Span:
    if not (_cuts_alike(text, span.start) or _cuts_alike(text, span.end)):
        return span
    for start_by, end_by in _SLIPS:
        start, end = span.start + start_by, span.end + end_by
        if not 0 <= start < end <= len(text) or not (_begins_word(text, start) and _ends_word(text, end)):
            continue
        is_taken = (start_by < 0 and start in taken) or (end_by > 0 and end - 1 in taken)
        return span if is_taken else Span(start, end, span.label)
    return span


def _cuts_alike(text: str, at: int) -> bool:
    """Tell whether `at` cuts a word of a script without particles between two letters or two digits."""
    if not cuts_word(text, at):
        return False
    before, after = text[at - 1], text[at]
    return max(ord(before), ord(after)) < _FIRST_SCRIPT_WITH_PARTICLES and before.isalpha() == after.isalpha()


def _begins_word(text: str, at: int) -> bool:
    return text[at].isalnum() and (at == 0 or not _belongs_to_word(text[at - 1]))


def _ends_word(text: str, at: int) -> bool:
    return text[at - 1].isalnum() and (at == len(text) or not _belongs_to_word(text[at]))


def _belongs_to_word(character: str) -> bool:
    """Tell of letters, digits, marks on them and invisible characters between them."""
    return character.isalnum() or unicodedata.category(character) in {"Mn", "Mc", "Me", "Cf"}


def trim_labels(row: Row) -> Row:
    """Take white space off the ends of labels."""
    return relabelled(row, {label: label.strip() for label in row.labels})


def relabelled(row: Row, names: dict[str, str]) -> Row:
    """Return the row with the labels that `names` has called so."""
    if row.label is not None:
        label = names.get(row.label, row.label)
        return row if label == row.label else replace(row, label=label)
    if row.label_set is not None:
        labels = tuple(sorted({names.get(label, label) for label in row.label_set}))
        return row if labels == row.label_set else replace(row, label_set=labels)
    if row.entities is None:
        return row
    return _with_spans(row, [replace(span, label=names.get(span.label, span.label)) for span in row.entities])


def _with_spans(row: Row, spans: list[Span]) -> Row:
    entities = tuple(spans)
    return row if entities == row.entities else replace(row, entities=entities)
