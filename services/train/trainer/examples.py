"""Rows as the model will see them: windows of token ids, and what to learn at which of their tokens.

Owns the targets. Text becomes ids, windows and units through shared.runtime alone, so that training sees exactly what serving
sees: a unit is learnt once, at its first token, in the window that serving would read it from. Each window of a long text is an
example of the text's label, weighted by its share of the text, as serving averages them. Pure but for the tokenizer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.data.rows import Row, Span
from shared.runtime.entities import most_context
from shared.runtime.reader import EncodedText
from shared.runtime.units import Units
from shared.runtime.windows import Window

Numbers = npt.NDArray[np.int64]
Targets = Numbers | npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One window and its k targets."""

    window: Window
    rows: Numbers  # (k,) tokens of the window at which a tag is read; classification: one, which means the whole window
    targets: Targets  # (k,) numbers of labels or tags; multi-label: (1, labels), 1 for those of the text; in the order of the logits
    weight: float  # of each target in the loss


def make_examples(
    rows: Sequence[Row], encoded: Sequence[EncodedText], labels: Sequence[str]
) -> list[list[Example]]:
    """Join rows with their encoded texts: list i holds the examples of row i, one a window."""
    number = {label: i for i, label in enumerate(labels)}
    return [
        _unit_examples(text, row, number)
        if row.entities is not None
        else _text_examples(text, _text_target(row, number))
        for row, text in zip(rows, encoded, strict=True)
    ]


def _text_target(row: Row, number: dict[str, int]) -> Targets:
    if row.label is not None:
        return np.array([number[row.label]])
    present = np.zeros((1, len(number)), dtype=np.float32)
    present[0, [number[label] for label in row.labels]] = 1
    return present


def _text_examples(text: EncodedText, target: Targets) -> list[Example]:
    total = sum(window.content_count for window in text.windows)
    return [
        Example(window, _FIRST, target, window.content_count / total if total else 1.0)
        for window in text.windows
    ]


def _unit_examples(text: EncodedText, row: Row, number: dict[str, int]) -> list[Example]:
    assert text.units is not None  # noqa: S101 - a reader of the entities task always finds units
    tags = unit_tags(text.units, row.entities or (), number)
    chosen = most_context(text.units.tokens, text.windows)
    examples = []
    for k, window in enumerate(text.windows):
        mine = chosen == k
        rows = text.units.tokens[mine] - window.start + window.content_row
        examples.append(Example(window, rows, tags[mine], 1.0))
    return examples


def unit_tags(units: Units, spans: Sequence[Span], number: dict[str, int]) -> Numbers:
    """Return (units,) tag numbers: O = 0, B-l = 2l + 1, I-l = 2l + 2. A unit that two spans touch goes to the first."""
    tags = np.zeros(len(units), dtype=np.int64)
    starts, ends = np.array(units.spans, dtype=np.int64).reshape(-1, 2).T
    for span in sorted(spans):
        touched = np.flatnonzero((starts < span.end) & (ends > span.start) & (tags == 0))
        tags[touched] = 2 * number[span.label] + 2
        tags[touched[:1]] -= 1
    return tags


_FIRST = np.zeros(1, dtype=np.int64)
