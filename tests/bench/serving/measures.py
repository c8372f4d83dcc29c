"""Figures of many calls: percentiles, counts by status, and what a window of time cost."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9)


def percentile(ascending: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of all do not exceed (nearest rank). Raises ValueError for none."""
    if not ascending:
        raise ValueError("no values")
    rank = math.ceil(len(ascending) * percent / 100)
    return ascending[max(rank, 1) - 1]


def spread_ms(seconds: Sequence[float]) -> dict[str, float]:
    """Describe durations in milliseconds; empty for none."""
    ascending = sorted(seconds)
    if not ascending:
        return {}
    return {
        "count": len(ascending),
        "mean": round(1000 * sum(ascending) / len(ascending), 3),
        **{f"p{percent:g}": round(1000 * percentile(ascending, percent), 3) for percent in PERCENTILES},
        "max": round(1000 * ascending[-1], 3),
    }


def medians(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each number over the rounds, tables within tables too; what is no number, or not in each round, is left out."""
    found: dict[str, Any] = {}
    for name, first in rounds[0].items():
        values = [each[name] for each in rounds if name in each]
        if len(values) < len(rounds):
            continue
        if isinstance(first, dict):
            found[name] = medians(values)
        elif isinstance(first, int | float):
            found[name] = median(values)
    return found
