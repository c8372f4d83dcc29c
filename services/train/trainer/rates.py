"""How learning rates move over a training, and when each layer begins to learn. Pure.

A group of weights follows its schedule from the step at which it begins to the end of the training, so that one that begins late
has a warm-up of its own, and all come to rest together.
"""

from math import ceil, cos, pi
from typing import Final

from services.train.spec import Schedule

_SLANTED_RATIO: Final = 32  # of the peak to the last rate; arXiv:1801.06146, equation 3


def factor(schedule: Schedule, step: int, *, begin: int, total: int, warmup_share: float) -> float:
    """Return what the peak rate is multiplied by at `step` (from 0) of `total`; nothing before `begin`. [0, 1].

    All rise in a line. `linear` then falls to nothing, `cosine` too along half a wave (arXiv:1608.03983), `slanted-triangular` in a
    line to a 32nd of the peak, from which it also rose (arXiv:1801.06146).
    """
    if step < begin:
        return 0.0
    done, span = step - begin, total - begin
    warmup = ceil(warmup_share * span)
    if done < warmup:
        return _floored(schedule, done / warmup)
    left = (span - done) / max(1, span - warmup)
    if schedule == "cosine":
        return (1 - cos(pi * left)) / 2
    return _floored(schedule, left)


def _floored(schedule: Schedule, share: float) -> float:
    """A point of a line from nothing to 1, or from the least rate of slanted triangles."""
    return (1 + share * (_SLANTED_RATIO - 1)) / _SLANTED_RATIO if schedule == "slanted-triangular" else share


def first_steps(groups: int, *, unfreezing_share: float, total: int) -> list[int]:
    """Return at which step each of the encoder's `groups`, the top one first, begins to learn: gradual unfreezing (arXiv:1801.06146).

    Evenly over `unfreezing_share` of the steps; the head, which is no group, learns alone until the first one.
    """
    return [round(unfreezing_share * total * k / groups) for k in range(1, groups + 1)]


def layer_rates(peak: float, *, layers: int, decay: float) -> list[float]:
    """Return the peak rate of each depth, the embeddings first: layer-wise decay from the top (arXiv:1905.05583)."""
    return [peak * decay ** (layers - depth) for depth in range(layers + 1)]
