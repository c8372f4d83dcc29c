"""How fast the server refuses, by its own clock: from a call's entry to its refusal, as its metrics count it."""

import math
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

_METRIC: Final = "tagsmith_rpc_seconds"
_REFUSED: Final = {"method": "Classify", "code": "RESOURCE_EXHAUSTED"}

Buckets = dict[float, float]  # calls of at most so many seconds


def refusal_buckets(metrics: str) -> Buckets:
    """Return the refusals among the calls that a server has counted; none where it does not tell calls by their code."""
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(metrics)
        if family.name == _METRIC
        for sample in family.samples
        if sample.name.endswith("_bucket") and _REFUSED.items() <= sample.labels.items()
    }


def p99_below_ms(before: Buckets, after: Buckets) -> float | None:
    """Return the bound of the bucket in which the 99th percentile of the refusals between two looks lies; None for none."""
    counts = {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
    total = counts.get(math.inf, 0.0)
    if not total:
        return None
    return 1000 * min(bound for bound, count in counts.items() if count >= 0.99 * total)
