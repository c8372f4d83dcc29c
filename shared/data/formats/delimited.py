"""Comma- and tab-separated values with a header: a record a row, by the names of the columns."""

import csv
from collections.abc import Iterator, Sequence

from shared.data.formats.record import LineError, Records, count, decode_lines

_MOST_CELL_CODE_POINTS = 1_000_000  # the entities of a long text are longer than the text
_MOST_BROKEN_ROWS = 100  # as many problems as an error carries
csv.field_size_limit(_MOST_CELL_CODE_POINTS)  # of the whole process: a reader cannot have its own


def records(content: bytes, needed: Sequence[str], once: Sequence[str], *, delimiter: str) -> Records:
    """Yield a record for each row. `needed` columns must be there, and none of `once` twice."""
    lines, unreadable = decode_lines(content)
    if unreadable:  # quotes cannot be followed across such a line
        yield from unreadable
        return
    cells_by_line = _cells(lines, delimiter)
    number, header = next(cells_by_line)
    if isinstance(header, LineError):
        yield number, header
        return
    if fault := _header_fault(header, needed, once, delimiter):
        yield number, LineError(fault)
        return
    for number, cells in cells_by_line:
        if isinstance(cells, LineError):
            yield number, cells
        elif len(cells) != len(header):
            yield number, LineError(f"has {count(len(cells), 'cell')}, the header has {len(header)}")
        else:
            yield number, dict(zip(header, cells, strict=True))


def _cells(lines: list[str], delimiter: str) -> Iterator[tuple[int, list[str] | LineError]]:
    """Yield (number of its first line, cells) of every row that is not blank.

    After a row that csv cannot read, reading starts again at the line after the row's first: a quote that is never closed
    spoils one row and not the rest of the file. Not for ever: each new start may read the rest of the file.
    """
    first = broken = 0
    while first < len(lines):
        if broken == _MOST_BROKEN_ROWS:
            yield (
                first + 1,
                LineError("and the lines after it were not read: too many before it have broken quotes"),
            )
            return
        start = first
        reader = csv.reader(
            (lines[index] for index in range(start, len(lines))), delimiter=delimiter, strict=True
        )
        try:
            for cells in reader:
                if cells:
                    yield first + 1, cells
                first = start + reader.line_num
        except csv.Error as error:
            yield first + 1, LineError(_fault(error))
            first += 1
            broken += 1


def _fault(error: csv.Error) -> str:
    if "field limit" in str(error):  # csv has one class for all its errors
        return f"a cell has more than {_MOST_CELL_CODE_POINTS} code points (is a quote never closed?)"
    return "its quotes are broken: one is never closed, or text stands beside a quoted cell"


def _header_fault(
    header: list[str], needed: Sequence[str], once: Sequence[str], delimiter: str
) -> str | None:
    for column in needed:
        if column not in header:
            only = header[0] if len(header) == 1 else ""
            other = any(each in only for each in ",;\t" if each != delimiter)
            separator = {",": "commas", "\t": "tabs"}[delimiter]
            hint = f"; are the cells separated by {separator}?" if other else ""
            return f"the header has no column `{column}`{hint}"
    twice = next((column for column in once if header.count(column) > 1), None)
    return f"the header has column `{twice}` twice" if twice else None
