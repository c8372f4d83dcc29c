"""Scores of spans that are nearly right: which mentions were found at all, whatever their edges or their label.

The partial and type schemes of SemEval-2013 task 9.1 (Segura-Bedmar et al.), as F1 over mentions. Each true and each answered mention is
paired once at most: equal edges first, then the widest overlap.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from shared.scoring.spans import LabelledSpan

_PARTLY: Final = 0.5  # what an overlap with other edges counts


def overlap_f1s(
    true: Sequence[Sequence[LabelledSpan]], answered: Sequence[Sequence[LabelledSpan]]
) -> dict[str, float]:
    """Return `partial_f1`, labels left aside and edges counting half, and `type_f1`, edges left aside; element i of both is of text i."""
    partial = typed = 0.0
    for wanted, given in zip(true, answered, strict=True):
        for one, other in _pairs(wanted, given):
            partial += 1.0 if (one.start, one.end) == (other.start, other.end) else _PARTLY
            typed += one.label == other.label
    mentions = sum(map(len, true)) + sum(map(len, answered))
    return {"partial_f1": 2 * partial / max(1, mentions), "type_f1": 2 * typed / max(1, mentions)}


def _pairs(
    wanted: Sequence[LabelledSpan], given: Sequence[LabelledSpan]
) -> Iterator[tuple[LabelledSpan, LabelledSpan]]:
    overlapping = [
        (one, other) for one in wanted for other in given if one.start < other.end and other.start < one.end
    ]
    taken: set[int] = set()
    for one, other in sorted(overlapping, key=_closeness, reverse=True):
        if id(one) not in taken and id(other) not in taken:
            taken |= {id(one), id(other)}
            yield one, other


def _closeness(pair: tuple[LabelledSpan, LabelledSpan]) -> tuple[bool, int, bool]:
    """Equal edges, then width of the overlap, then the same label."""
    one, other = pair
    return (
        (one.start, one.end) == (other.start, other.end),
        min(one.end, other.end) - max(one.start, other.start),
        one.label == other.label,
    )
