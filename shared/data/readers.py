"""How the bytes of a `.jsonl` or `.csv` file become rows, with every broken line named.

A broken line never stops the reading: the caller gets all good rows and all problems, and refuses the file if there is one.
Problems name `file:line`, lines counted from 1, a CSV row of several lines by its first; they never quote a row. Each format
is one generator of records; what a record must hold is decided once, for both.
"""

import csv
import json
from collections.abc import Iterator
from typing import BinaryIO

from shared.data.rows import SPLIT_NAMES, Row, Span, SplitName, check_row
from shared.errors import Problem
from shared.store.manifest import Task

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_MOST_CELL_CODE_POINTS = 1_000_000  # the entities of a long text are longer than the text
_MOST_BROKEN_ROWS = 100  # as many problems as an error carries
csv.field_size_limit(_MOST_CELL_CODE_POINTS)  # of the whole process: a reader cannot have its own

Record = dict[str, object]


class _LineError(ValueError):
    """A line cannot be used; the message describes its problem."""


def read_rows(file_name: str, data: BinaryIO | bytes, task: Task) -> tuple[list[Row], list[Problem]]:
    """Read every row of a file of labelled rows for `task`.

    JSON Lines: objects with `text`, then `label` or `entities` [{start, end, label}], and maybe `split`. CSV: the same names as
    columns, entities as a JSON list (an empty cell: none). Other fields are ignored. The name tells the format.
    """
    content = (data if isinstance(data, bytes) else data.read()).removeprefix(_UTF8_BOM)
    suffix = file_name.rpartition(".")[2].lower()
    if suffix not in {"jsonl", "csv"}:
        return [], [Problem(file_name, "is neither .jsonl nor .csv")]
    if content.startswith(_UTF16_BOMS):
        return [], [Problem(file_name, "is UTF-16; save it as UTF-8")]
    if not content.strip():
        return [], [Problem(file_name, "is empty")]

    rows: list[Row] = []
    problems: list[Problem] = []
    for line, record in _jsonl_records(content) if suffix == "jsonl" else _csv_records(content, task):
        where = f"{file_name}:{line}"
        try:
            row = _row(record, task)
        except _LineError as error:
            problems.append(Problem(where, str(error)))
            continue
        faults = check_row(row, task, where=where)
        problems += faults
        if not faults:
            rows.append(row)
    if not rows and not problems:
        problems.append(Problem(file_name, "has a header and no rows"))
    return rows, problems


def _jsonl_records(content: bytes) -> Iterator[tuple[int, Record | _LineError]]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, _object(_parse_json(_decode(line), what="the line"))
        except _LineError as error:
            yield number, error


def _csv_records(content: bytes, task: Task) -> Iterator[tuple[int, Record | _LineError]]:
    lines: list[str] = []
    unreadable: list[tuple[int, _LineError]] = []
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        try:
            lines.append(_decode(line))
        except _LineError as error:
            unreadable.append((number, error))
    if unreadable:  # quotes cannot be followed across such a line
        yield from unreadable
        return

    needed = ("text", "label" if task == "classification" else "entities")
    cells_by_line = _csv_cells(lines)
    number, header = next(cells_by_line)
    if isinstance(header, _LineError):
        yield number, header
        return
    if fault := _header_fault(header, needed):
        yield number, _LineError(fault)
        return
    for number, cells in cells_by_line:
        if isinstance(cells, _LineError):
            yield number, cells
        elif len(cells) != len(header):
            yield number, _LineError(f"has {_count(len(cells), 'cell')}, the header has {len(header)}")
        else:
            yield number, dict(zip(header, cells, strict=True))


def _csv_cells(lines: list[str]) -> Iterator[tuple[int, list[str] | _LineError]]:
    """Yield (number of its first line, cells) of every row that is not blank.

    After a row that csv cannot read, reading starts again at the line after the row's first: a quote that is never closed
    spoils one row and not the rest of the file. Not for ever: each new start may read the rest of the file.
    """
    first = broken = 0
    while first < len(lines):
        if broken == _MOST_BROKEN_ROWS:
            yield (
                first + 1,
                _LineError("and the lines after it were not read: too many before it have broken quotes"),
            )
            return
        start = first
        reader = csv.reader((lines[index] for index in range(start, len(lines))), strict=True)
        try:
            for cells in reader:
                if cells:
                    yield first + 1, cells
                first = start + reader.line_num
        except csv.Error as error:
            yield first + 1, _LineError(_csv_fault(error))
            first += 1
            broken += 1


def _csv_fault(error: csv.Error) -> str:
    if "field limit" in str(error):  # csv has one class for all its errors
        return f"a cell has more than {_MOST_CELL_CODE_POINTS} code points (is a quote never closed?)"
    return "its quotes are broken: one is never closed, or text stands beside a quoted cell"


def _header_fault(header: list[str], needed: tuple[str, ...]) -> str | None:
    for column in needed:
        if column not in header:
            only = header[0] if len(header) == 1 else ""
            hint = "; are the cells separated by commas?" if ";" in only or "\t" in only else ""
            return f"the header has no column `{column}`{hint}"
    twice = next((column for column in (*needed, "split") if header.count(column) > 1), None)
    return f"the header has column `{twice}` twice" if twice else None


def _row(record: Record | _LineError, task: Task) -> Row:
    if isinstance(record, _LineError):
        raise record
    text = _string(record, "text")
    split = _split(record.get("split"))
    if task == "classification":
        return Row(text, label=_string(record, "label"), split=split)
    return Row(text, entities=_spans(record), split=split)


def _object(value: object) -> Record:
    if not isinstance(value, dict):
        raise _LineError("is not a JSON object")
    return value


def _string(record: Record, field: str) -> str:
    value = record.get(field)
    if isinstance(value, str):
        return value
    raise _LineError(f"field `{field}` is not a string" if field in record else f"has no field `{field}`")


def _split(value: object) -> SplitName | None:
    if value is None or value == "":
        return None
    if value not in SPLIT_NAMES:
        raise _LineError(f"field `split` is none of {', '.join(SPLIT_NAMES)}")
    return value


def _spans(record: Record) -> tuple[Span, ...]:
    if "entities" not in record:
        raise _LineError("has no field `entities`")
    spans = record["entities"]
    if isinstance(spans, str):  # a CSV cell
        spans = _parse_json(spans, what="field `entities`") if spans.strip() else []
    if not isinstance(spans, list):
        raise _LineError("field `entities` is not a list")
    return tuple(_span(index, span) for index, span in enumerate(spans))


def _span(index: int, span: object) -> Span:
    match span:
        case {"start": int(start), "end": int(end), "label": str(label)} if bool not in {
            type(start),
            type(end),
        }:
            return Span(start, end, label)
    raise _LineError(
        f"entities[{index}] is not an object with integers `start` and `end` and a string `label`"
    )


def _decode(line: bytes) -> str:
    if b"\0" in line:
        raise _LineError("holds a NUL byte; is this a text file in UTF-8?")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _LineError(f"is not UTF-8 at byte {error.start + 1} of the line") from error


def _parse_json(text: str, *, what: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise _LineError(f"{what} is not JSON: {error.msg} at character {error.pos + 1}") from error
    except (
        ValueError,
        RecursionError,
    ) as error:  # a number of thousands of digits; brackets nested thousands deep
        raise _LineError(
            f"{what} is JSON that cannot be read: a number is too long or it is nested too deep"
        ) from error


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
