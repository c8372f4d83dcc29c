"""What a labelled row is and what makes one unusable.

Owns Row and Span and every check that needs one row only; checks over whole splits are in `shared.data.splits`. Spans count
code points, end exclusive. Pure; descriptions of problems name fields, numbers and labels, never a row's text.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal, get_args

from shared.errors import Problem
from shared.store.manifest import Task

SplitName = Literal["train", "validation", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = get_args(SplitName)

MOST_CODE_POINTS = 100_000  # of a text; the inference service takes no longer one either
MOST_LABEL_CODE_POINTS = 128


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A mention of an entity: code points `[start, end)` of its row's text."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """A text and what it is an example of: a label (classification), all its labels (multi-label) or all its entities (entities)."""

    text: str
    label: str | None = None
    entities: tuple[Span, ...] | None = None
    split: SplitName | None = None  # None: decided by the hash of the text
    label_set: tuple[str, ...] | None = None  # sorted, each once
    where: str = field(
        default="", compare=False
    )  # its place in a file, such as `train.csv:17`; empty: from the store
    id: str = ""  # the owner's own name for it
    columns: tuple[
        tuple[str, str], ...
    ] = ()  # what else is known of it, for scores by slice: (column, value)
    out_of_scope: bool = False  # classification: it belongs to none of the labels, and has none

    @property
    def labels(self) -> tuple[str, ...]:
        """The row's label or labels, or the label of each of its entities."""
        if self.label is not None:
            return (self.label,)
        if self.label_set is not None:
            return self.label_set
        return tuple(span.label for span in self.entities or ())


def check_row(row: Row, task: Task, *, where: str) -> list[Problem]:
    """Return everything that makes `row` unusable for `task`; `where` is its place, such as `train.csv:17`."""
    faults = list(_text_faults(row.text))
    if task == "classification":
        faults += _only_label_faults(row)
    elif task == "multi-label":
        faults += _label_set_faults(row.label_set)
    elif row.entities is None:
        faults.append("has no entities; a text without any has an empty list")
    else:
        faults += _span_faults(row.text, row.entities)
    return [Problem(where, fault) for fault in faults]


def _text_faults(text: str) -> Iterator[str]:
    if not text.strip():
        yield "the text is empty"
    if len(text) > MOST_CODE_POINTS:
        yield f"the text has {len(text)} code points; at most {MOST_CODE_POINTS} are allowed"
    if not _is_unicode(text):
        yield "the text holds half of a surrogate pair, which is no character"


def _only_label_faults(row: Row) -> Iterator[str]:
    if row.label is not None:
        yield from label_faults("label", row.label)
    elif not row.out_of_scope:
        yield "has no label"


def label_faults(name: str, label: str) -> Iterator[str]:
    """Yield what keeps `label` from being one; `name` is what it is called."""
    if not label.strip():
        yield f"the {name} is empty"
    elif len(label) > MOST_LABEL_CODE_POINTS:
        yield f"the {name} has {len(label)} code points; at most {MOST_LABEL_CODE_POINTS} are allowed"
    elif any(unicodedata.category(character) in {"Cc", "Cs"} for character in label):
        yield f"the {name} {label!a} holds control characters"
    elif label != label.strip():
        yield f"the {name} {label!r} has white space around it, which the cleaning step `trim-labels` takes off"


def _label_set_faults(labels: tuple[str, ...] | None) -> Iterator[str]:
    if labels is None:
        yield "has no labels; a text without any has an empty list"
        return
    for label in labels:
        yield from label_faults("label", label)


def _span_faults(text: str, spans: tuple[Span, ...]) -> Iterator[str]:
    inside: list[tuple[Span, str]] = []
    for index, span in enumerate(spans):
        name = f"entities[{index}] [{span.start}, {span.end})"
        yield from label_faults(f"label of {name}", span.label)
        surface = text[span.start : span.end]
        if span.start >= span.end:
            yield f"{name} is empty"
        elif span.start < 0 or span.end > len(text):
            yield f"{name} lies outside of the text, which has {len(text)} code points"
        elif surface != surface.strip():
            yield f"{name} begins or ends with white space, which the cleaning step `trim-spans` takes off"
        else:
            inside.append((span, name))
    for (before, before_name), (after, after_name) in pairwise(sorted(inside)):
        if after.start < before.end:
            yield f"{after_name} overlaps {before_name}"


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
