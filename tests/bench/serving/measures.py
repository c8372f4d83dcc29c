"""Figures of many calls: percentiles, counts by status, and what a window of time cost."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

_FAULTS: Final = ("malformed", "lost", "answered_otherwise", "of_another_version")
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


def faults(figures: Any) -> float:
    """Count the answers of Tagsmith that were wrong, not whole, or never came, in all tables of a measurement; others' faults are theirs."""
    if isinstance(figures, list):
        return sum(map(faults, figures))
    if not isinstance(figures, dict):
        return 0
    tables = {name: each for name, each in figures.items() if not name.startswith(("naive", "echo"))}
    return sum(figures.get(name, 0) for name in _FAULTS) + sum(map(faults, tables.values()))


def settled(rounds: Sequence[dict[str, Any]], *, quiet_cores: float) -> dict[str, Any]:
    """Return the medians of every measurement's undisturbed rounds, those in which others used at most so many cores.

    Of a measurement without such a round the least disturbed one counts. A table without `others_cores` holds measurements.
    """
    if "others_cores" not in rounds[0]:
        return {name: settled([each[name] for each in rounds], quiet_cores=quiet_cores) for name in rounds[0]}
    most = max(quiet_cores, min(each["others_cores"] for each in rounds))
    return medians([each for each in rounds if each["others_cores"] <= most])


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
