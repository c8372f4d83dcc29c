"""How the bytes of a file become rows, with every broken line named.

A broken line never stops the reading: the caller gets all good rows and all problems, and refuses the file if there is one.
Problems name `file:line`, lines (rows, for Parquet) counted from 1, a row of several lines by its first; they never quote a row. Each
format is a generator of records; what a record must hold is decided once, here, for all of them.
"""

from dataclasses import dataclass, replace
from typing import BinaryIO

from shared.data.formats import conll, delimited, jsonl
from shared.data.formats.record import LineError, Record, Records, parse_json
from shared.data.rows import SPLIT_NAMES, Row, Span, SplitName, check_row
from shared.errors import Problem
from shared.store.manifest import Task

SUFFIXES = (".jsonl", ".csv", ".tsv", ".parquet", ".conll")

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

    def needed(self, task: Task) -> tuple[str, str]:
        """Those that every record for `task` must have."""
        annotation = {"classification": self.label, "multi-label": self.labels, "entities": self.entities}
        return (self.text, annotation[task])


USUAL_NAMES = FieldNames()


def read_rows(
    file_name: str, data: BinaryIO | bytes, task: Task, names: FieldNames = USUAL_NAMES
) -> tuple[list[Row], list[Problem]]:
    """Read every row of a file of labelled rows for `task`. The file's name tells the format, one of SUFFIXES.

    Records have `text`, then `label`, `labels` or `entities`, and maybe `split`, under these names or those of `names`; other fields
    are ignored. A label may stand in a list of one; where there are no `labels`, the list may be in `label`. An entity is {start, end, label}, {start_offset, end_offset, label} or [start, end,
    label]; where there is no `entities`, the list may be in `label`. In a cell, labels and entities are a JSON list, or nothing for none;
    labels may also stand with `;` between.
    CoNLL has no names: its text and entities are made of its tokens and tags.
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
    for line, record in _records(suffix, content, task, names):
        where = f"{file_name}:{line}"
        try:
            row = _row(record, task, names)
        except LineError as error:
            problems.append(Problem(where, str(error)))
            continue
        faults = check_row(row, task, where=where)
        problems += faults
        if not faults:
            rows.append(replace(row, where=where))
    if not rows and not problems:
        problems.append(Problem(file_name, "has no rows"))
    return rows, problems


def _records(suffix: str, content: bytes, task: Task, names: FieldNames) -> Records:
    needed = names.needed(task)
    match suffix:
        case ".jsonl":
            return jsonl.records(content)
        case ".conll":
            return conll.records(content)
        case ".parquet":
            from shared.data.formats import parquet  # its library is large, and few files need it

            return parquet.records(content, (*needed, names.label, names.split))
    return delimited.records(
        content, needed, (*needed, names.split), delimiter="\t" if suffix == ".tsv" else ","
    )


def _row(record: Record | LineError, task: Task, names: FieldNames) -> Row:
    if isinstance(record, LineError):
        raise record
    text = _string(record, names.text)
    split = _split(record, names.split)
    if task == "classification":
        return Row(text, label=_label(record, names.label), split=split)
    if task == "multi-label":
        return Row(text, label_set=_label_set(record, names), split=split)
    return Row(text, entities=_spans(record, names), split=split)


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
