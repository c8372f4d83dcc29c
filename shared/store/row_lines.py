"""Rows as canonical JSON lines: equal rows give equal bytes, so that a snapshot's digest tells them. Pure."""

import json
from collections.abc import Sequence

from shared.data.rows import Row, Span, SplitName


def to_lines(rows: Sequence[Row]) -> bytes:
    """Write rows in their order, each without its split and place."""
    # ASCII escapes: no character of a text can be taken for the end of a line.
    return b"".join(json.dumps(_to_object(row), separators=(",", ":")).encode() + b"\n" for row in rows)


def _to_object(row: Row) -> dict[str, object]:
    """What is not there is left out, so that rows have the digest that they always had."""
    extras: dict[str, object] = {}
    if row.id:
        extras["id"] = row.id
    if row.columns:
        extras["columns"] = dict(row.columns)
    if row.out_of_scope:
        return {"text": row.text, "out_of_scope": True, **extras}
    if row.label is not None:
        return {"text": row.text, "label": row.label, **extras}
    if row.entities is None:
        return {"text": row.text, "labels": row.label_set, **extras}
    spans = [[span.start, span.end, span.label] for span in row.entities]
    return {"text": row.text, "entities": spans, **extras}


def from_line(line: bytes, split: SplitName) -> Row:
    """Read a row of a split."""
    read = json.loads(line)
    return Row(
        read["text"],
        label=read.get("label"),
        label_set=tuple(read["labels"]) if "labels" in read else None,
        entities=tuple(Span(*span) for span in read["entities"]) if "entities" in read else None,
        split=split,
        id=read.get("id", ""),
        columns=tuple(read.get("columns", {}).items()),
        out_of_scope=read.get("out_of_scope", False),
    )
