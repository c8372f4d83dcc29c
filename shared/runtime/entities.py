"""Token logits to entity spans. Pure: numpy and nothing else.

Invariant: spans rise, do not overlap, begin and end with words, and so never cut a character or hold only white space.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.runtime.bio import best_path, entity_ranges
from shared.runtime.classification import Logits
from shared.runtime.units import Indices, Units
from shared.runtime.windows import Window


@dataclass(frozen=True, slots=True)
class EntitySpan:
    """One mention: code points [start, end) of the text."""

    start: int
    end: int
    label: str
    score: float  # geometric mean of the probabilities of its units' tags, [0, 1]


def extract_spans(
    labels: Sequence[str],
    units: Units,
    windows: Sequence[Window],
    logits: Sequence[Logits],
    *,
    temperature: float = 1.0,
) -> list[EntitySpan]:
    """Decode one text. Element k of `logits` belongs to window k: (its tokens, special ones included; 2 * labels + 1 tags).

    Scores come of logits divided by `temperature`; which spans there are does not depend on it.
    """
    if not len(units):
        return []
    scores = unit_logits(units.tokens, windows, logits)
    path = best_path(scores)
    ranges = entity_ranges(path)
    if not ranges:
        return []
    log_probabilities = _log_probabilities(scores / temperature, path)
    return [
        EntitySpan(
            units.spans[first][0],
            units.spans[end - 1][1],
            labels[label],
            math.exp(sum(log_probabilities[first:end]) / (end - first)),
        )
        for first, end, label in ranges
    ]


def _log_probabilities(scores: npt.NDArray[np.float32], path: Sequence[int]) -> list[float]:
    """Return the log probability of each step's tag."""
    exact = scores.astype(np.float64)
    exact -= exact.max(axis=1, keepdims=True)
    chosen = exact[np.arange(len(path)), path] - np.log(np.exp(exact).sum(axis=1))
    log_probabilities: list[float] = chosen.tolist()
    return log_probabilities


def unit_logits(
    tokens: Indices, windows: Sequence[Window], logits: Sequence[Logits]
) -> npt.NDArray[np.float32]:
    """Return the logits, (units, tags), of the units tagged at content `tokens`, each from its window with the most context."""
    if len(windows) == 1:
        return logits[0][tokens + windows[0].content_row]
    chosen = most_context(tokens, windows)
    rows = np.empty((len(tokens), logits[0].shape[1]), dtype=np.float32)
    for k, window in enumerate(windows):
        mine = chosen == k
        rows[mine] = logits[k][tokens[mine] - window.start + window.content_row]
    return rows


def most_context(tokens: Indices, windows: Sequence[Window]) -> Indices:
    """Return for each content token the window that sees most tokens on its poorer side; the earlier one where two are equal.

    The text's own beginning and end cut nothing off, so there a window counts as seeing without limit.
    """
    chosen = np.zeros(len(tokens), dtype=np.int64)
    context = np.full(len(tokens), -1, dtype=np.int64)
    text_end = windows[-1].end
    for k, window in enumerate(windows):
        left = tokens - window.start + (text_end if window.start == 0 else 0)
        right = window.end - 1 - tokens + (text_end if window.end == text_end else 0)
        poorer = np.minimum(left, right)
        better = (tokens >= window.start) & (tokens < window.end) & (poorer > context)
        chosen[better], context[better] = k, poorer[better]
    return chosen
