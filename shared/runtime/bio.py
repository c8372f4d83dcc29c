"""The best legal path of BIO tags.

Tags are numbered O = 0, B-l = 2l + 1, I-l = 2l + 2. Legal: I-l only after B-l or I-l. Pure.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def is_legal(path: Sequence[int]) -> bool:
    """Tell whether every I continues an entity of its own label."""
    before = 0
    for tag in path:
        if tag and tag % 2 == 0 and before != tag and before != tag - 1:
            return False
        before = tag
    return True


def best_path(scores: npt.NDArray[np.floating]) -> list[int]:
    """Return the legal path whose `scores`, (steps, tags), have the greatest sum; one tag for each of one or more steps.

    Scores may be logits: a constant added to all tags of a step changes no path.
    """
    # The best path of all is the best legal one if it is legal, and a trained model's nearly always is.
    greedy: list[int] = scores.argmax(axis=1).tolist()
    return greedy if is_legal(greedy) else _viterbi(scores)


def _viterbi(scores: npt.NDArray[np.floating]) -> list[int]:
    """Vectorised over tags: O and B may follow anything, so one predecessor is best for all of them; I-l has a choice of two."""
    steps = len(scores)
    totals = scores.astype(np.float64)  # of the best path that ends in (step, tag)
    begins, insides = totals[:, 1::2], totals[:, 2::2]
    insides[0] = -np.inf
    continued = np.empty(insides.shape[1])
    for step in range(1, steps):
        best = totals[step - 1].max()
        np.maximum(begins[step - 1], insides[step - 1], out=continued)
        insides[step] += continued
        begins[step] += best
        totals[step, 0] += best

    best_ends: list[int] = totals.argmax(axis=1).tolist()
    tag = best_ends[-1]
    path = [tag]
    for step in range(steps - 2, -1, -1):
        if tag == 0 or tag % 2 == 1:
            tag = best_ends[step]
        elif totals[step, tag - 1] >= totals[step, tag]:
            tag -= 1
        path.append(tag)
    return path[::-1]


def entity_ranges(path: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return the entities of a legal path as (first step, one past the last, label number), rising."""
    ranges: list[tuple[int, int, int]] = []
    for step, tag in enumerate(path):
        if tag % 2 == 1:
            ranges.append((step, step + 1, tag // 2))
        elif tag:
            ranges[-1] = (ranges[-1][0], step + 1, ranges[-1][2])
    return ranges
