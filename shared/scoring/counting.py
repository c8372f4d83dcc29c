"""Right ones among those that are given and those that are wanted."""

from collections.abc import Hashable, Sequence
from collections.abc import Set as AbstractSet

from shared.store.evaluation import LabelScores


def score_sets(wanted: AbstractSet[Hashable], given: AbstractSet[Hashable]) -> LabelScores:
    """Return precision, recall and F1 of the set that was `given` for the one that was `wanted`."""
    right = len(wanted & given)
    return LabelScores(
        precision=right / len(given) if given else 0.0,
        recall=right / len(wanted) if wanted else 0.0,
        f1=2 * right / (len(wanted) + len(given)) if wanted or given else 0.0,
        support=len(wanted),
    )


def with_unknown(labels: Sequence[str], true: Sequence[str]) -> list[str]:
    """Return a model's labels, then the true ones that it does not know."""
    return list(dict.fromkeys((*labels, *sorted(set(true)))))
