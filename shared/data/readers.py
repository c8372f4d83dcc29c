"""How the bytes of a file become rows, with every broken line named.

A broken line never stops the reading: the caller gets all good rows and all problems, and refuses the file if there is one.
Problems name `file:line`, lines (rows, for Parquet) counted from 1, a row of several lines by its first; they never quote a row. Each
format is a generator of records; what a record must hold is decided once, here, for all of them.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO

from shared.data.formats import conll, delimited, jsonl
from shared.data.formats.record import LineError, Record, Records, parse_json
from shared.data.rows import SPLIT_NAMES, Row, Span, SplitName, check_row
from shared.errors import Problem
from shared.store.manifest import Task

SUFFIXES = (".jsonl", ".csv", ".tsv", ".parquet", ".conll")

_MOST_VALUE_CODE_POINTS = 256  # of an id or a column: names, not texts

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class FieldNames:
    """What a file calls its fields or columns."""

    text: str = "text"
    label: str = "label"
    labels: str = "labels"
    entities: str = "entities"
    split: str = "split"
    id: str = "id"

    def needed(self, task: Task) -> tuple[str, str]:
        """Those that every record for `task` must have."""
        annotation = {"classification": self.label, "multi-label": self.labels, "entities": self.entities}
        return (self.text, annotation[task])


USUAL_NAMES = FieldNames()


@dataclass(frozen=True, slots=True)
class Extras:
    """What is read of a row beside its text and its annotation."""

    columns: tuple[str, ...] = ()  # kept for scores by slice
    out_of_scope_label: str = ""  # classification: rows with this label belong to none; empty: there are none


NO_EXTRAS = Extras()


def as_read(row: Row) -> Row:
    """Mend nothing."""
    return row


def read_rows(
    file_name: str,
    data: BinaryIO | bytes,
    task: Task,
    names: FieldNames = USUAL_NAMES,
    extras: Extras = NO_EXTRAS,
    mend: Callable[[Row], Row] = as_read,
) -> tuple[list[Row], list[Problem]]:
    """Read every row of a file of labelled rows for `task`. The file's name tells the format, one of SUFFIXES.

    Records have `text`, then `label`, `labels` or `entities`, and maybe `split` and `id`, under these names or those of `names`; other
    fields are ignored but for those that `extras` names. A label may stand in a list of one; where there are no `labels`, the list may be in `label`. An entity is {start, end, label}, {start_offset, end_offset, label} or [start, end,
    label]; where there is no `entities`, the list may be in `label`. In a cell, labels and entities are a JSON list, or nothing for none;
    labels may also stand with `;` between.
    CoNLL has no names: its text and entities are made of its tokens and tags.
    Each row goes through `mend` before it is checked; what that cannot mend it tells by a LineError.
    """
    content = (data if isinstance(data, bytes) else data.read()).removeprefix(_UTF8_BOM)
    suffix = "." + file_name.rpartition(".")[2].lower()
    if suffix not in SUFFIXES:
        return [], [Problem(file_name, f"is none of {', '.join(SUFFIXES)}")]
    if content.startswith(_UTF16_BOMS):
        return [], [Problem(file_name, "is UTF-16; save it as UTF-8")]
    if not content.strip():
        return [], [Problem(file_name, "is empty")]
    if suffix == ".conll":
        if task != "entities":
            return [], [Problem(file_name, f"has tags of tokens, which are for entities and not for {task}")]
        names = USUAL_NAMES

    rows: list[Row] = []
    problems: list[Problem] = []
    missing = set(extras.columns)
    for line, record in _records(suffix, content, task, names, extras):
        where = f"{file_name}:{line}"
        try:
            read = replace(_row(record, task, names, extras), where=where)
            row = _scoped(mend(read), extras)
        except LineError as error:
            problems.append(Problem(where, str(error)))
            continue
        faults = check_row(row, task, where=where)
        problems += (
            faults if row.text == read.text and row.entities == read.entities else map(_cleaned, faults)
        )
        if not faults:
            rows.append(row)
            missing.difference_update(column for column, _ in row.columns)
    if not rows and not problems:
        problems.append(Problem(file_name, "has no rows"))
    problems += [Problem(file_name, f"no row has a value in column `{each}`") for each in sorted(missing)]
    return rows, problems


def _records(suffix: str, content: bytes, task: Task, names: FieldNames, extras: Extras) -> Records:
    needed = names.needed(task)
    match suffix:
        case ".jsonl":
            return jsonl.records(content)
        case ".conll":
            return conll.records(content)
        case ".parquet":
            from shared.data.formats import parquet  # its library is large, and few files need it

            return parquet.records(content, (*needed, names.label, names.split, names.id, *extras.columns))
    return delimited.records(
        content,
        needed,
        (*needed, names.split, names.id, *extras.columns),
        delimiter="\t" if suffix == ".tsv" else ",",
    )


def _row(record: Record | LineError, task: Task, names: FieldNames, extras: Extras) -> Row:
    if isinstance(record, LineError):
        raise record
    row = Row(
        _string(record, names.text),
        split=_split(record, names.split),
        id=_id(record, names),
        columns=tuple(
            (column, value)
            for column in sorted(extras.columns)
            if (value := _plain(record.get(column), column))
        ),
    )
    if task == "multi-label":
        return replace(row, label_set=_label_set(record, names))
    if task == "entities":
        return replace(row, entities=_spans(record, names))
    return replace(row, label=_label(record, names.label))


def _scoped(row: Row, extras: Extras) -> Row:
    """Return the row without its label if that says that it belongs to none."""
    if row.label and row.label == extras.out_of_scope_label:
        return replace(row, label=None, out_of_scope=True)
    return row


def _cleaned(fault: Problem) -> Problem:
    """Say that a fault, and the offsets in it, are those of the row as it was mended."""
    return replace(fault, description=f"after cleaning, {fault.description}")


def _plain(value: object, field: str) -> str:
    """Read a field whose value is one thing and may be left out: empty then. Raises LineError."""
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise LineError(f"field `{field}` is neither a string nor a number")
    if len(text := str(value)) > _MOST_VALUE_CODE_POINTS:
        raise LineError(f"field `{field}` has more than {_MOST_VALUE_CODE_POINTS} code points")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise LineError(f"field `{field}` holds control characters")
    return text


def _id(record: Record, names: FieldNames) -> str:
    """Read the row's own name; what is none is left out, as fields are that nobody asked for, unless somebody did."""
    try:
        return _plain(record.get(names.id), names.id)
    except LineError:
        if names.id != USUAL_NAMES.id:
            raise
        return ""


def _string(record: Record, field: str) -> str:
    value = record.get(field)
    if isinstance(value, str):
        return value
    raise LineError(f"field `{field}` is not a string" if field in record else f"has no field `{field}`")


def _label(record: Record, field: str) -> str:
    match record.get(field):
        case [str(only)]:
            return only
        case [*several]:
            raise LineError(f"field `{field}` has {len(several)} labels; one is needed")
    return _string(record, field)


def _list_of(record: Record, field: str, names: FieldNames) -> tuple[str, object]:
    """Return what stands in `field`, or the list in `label` where other tools put it, and which field that was."""
    if field not in record and isinstance(record.get(names.label), list):
        field = names.label
    if field not in record:
        raise LineError(f"has no field `{field}`")
    return field, record[field]


def _label_set(record: Record, names: FieldNames) -> tuple[str, ...]:
    field, labels = _list_of(record, names.labels, names)
    if isinstance(labels, str):  # a cell
        cell = labels.strip()
        labels = (
            parse_json(cell, what=f"field `{field}`")
            if cell.startswith("[")
            else [each.strip() for each in cell.split(";")]
            if cell
            else []
        )
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise LineError(f"field `{field}` is not a list of strings")
    return tuple(sorted(set(labels)))  # one that several annotators gave counts once


def _split(record: Record, field: str) -> SplitName | None:
    value = record.get(field)
    if value is None or value == "":
        return None
    if value not in SPLIT_NAMES:
        raise LineError(f"field `{field}` is none of {', '.join(SPLIT_NAMES)}")
    return value


def _spans(record: Record, names: FieldNames) -> tuple[Span, ...]:
    field, spans = _list_of(record, names.entities, names)
    if isinstance(spans, str):  # a cell
        spans = parse_json(spans, what=f"field `{field}`") if spans.strip() else []
    if not isinstance(spans, list):
        raise LineError(f"field `{field}` is not a list")
    return tuple(_span(f"{field}[{index}]", span) for index, span in enumerate(spans))


def _span(where: str, span: object) -> Span:
    match span:
        case {"start": start, "end": end, "label": label}:
            pass
        case {"start_offset": start, "end_offset": end, "label": label}:
            pass
        case [start, end, label]:
            pass
        case _:
            start = end = label = None
    if type(start) is int and type(end) is int and isinstance(label, str):  # True is an int too
        return Span(start, end, label)
    raise LineError(
        f"{where} is neither an object with integers `start` and `end` and a string `label` nor a list of these three"
    )
