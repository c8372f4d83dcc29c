"""Scenario: more calls than can be answered, each with a deadline. What is answered, how fast the rest is told, what it costs in memory."""

from typing import Final

from tests.bench.serving.loads import SINGLE, arrivals, waiting_callers
from tests.bench.serving.preparing import ADAPTABLE
from tests.bench.serving.quiet import Figures
from tests.bench.serving.refusals import p99_below_ms, refusal_buckets
from tests.bench.serving.servers import Server, naive_server, tagsmith_server
from tests.bench.serving.stand import Stand
from tests.bench.serving.texts import BANKING

DEADLINE_MS: Final = 500
_MEASURED_S: Final = 8.0
_NAIVE_MEASURED_S: Final = 4.0
_MANY_TEXTS: Final = 120_000
_FACTORS: Final = {"at_capacity": 1, "overload": 3, "overload_again": 3}


def overload(stand: Stand) -> Figures:
    """Send calls at what waiting callers had answered, then at three times as many, twice; and so to the naive server."""
    with tagsmith_server(stand.arm, stand.prepared, [stand.version]) as server:
        tagsmith = _measure(stand, server, _FACTORS, _MEASURED_S)
    with naive_server(stand.arm, stand.prepared, ADAPTABLE) as server:
        naive = _measure(stand, server, {"overload": _FACTORS["overload"]}, _NAIVE_MEASURED_S)
    usual, bursts = tagsmith["at_capacity"], [tagsmith["overload"], tagsmith["overload_again"]]
    statuses = [each["statuses"] for each in bursts]
    return {
        "deadline_ms": DEADLINE_MS,
        "tagsmith": tagsmith,
        "naive": naive,
        "ratios": {
            # The worse of the two.
            "answered_to_capacity": min(each["in_time_per_s"] for each in bursts) / usual["in_time_per_s"],
            "in_time_share": min(each["in_time_share"] for each in bursts),
            "refusal_p99_ms": max(each["refusal_p99_below_ms"] or 0 for each in bursts),
            "refusal_p99_seen_ms": max(
                each["latency_ms"].get("RESOURCE_EXHAUSTED", {}).get("p99", 0) for each in bursts
            ),
            "too_late_share": max(each.get("DEADLINE_EXCEEDED", 0) / sum(each.values()) for each in statuses),
            "rss_growth": max(each["rss_bytes"]["peak"] for each in bursts) / usual["rss_bytes"]["last"] - 1,
            "naive_in_time_share": naive["overload"]["in_time_share"],
        },
    }


def _measure(stand: Stand, server: Server, factors: dict[str, int], measured_s: float) -> Figures:
    capacity = waiting_callers(stand, server, BANKING, **SINGLE)["calls_per_s"]
    return {
        "capacity_per_s": capacity,
        **{name: _burst(stand, server, factor * capacity, measured_s) for name, factor in factors.items()},
    }


def _burst(stand: Stand, server: Server, calls_per_s: float, measured_s: float) -> Figures:
    before = refusal_buckets(server.metrics())
    figures = arrivals(
        stand,
        server,
        BANKING,
        calls_per_s=calls_per_s,
        measured_s=measured_s,
        timeout_ms=DEADLINE_MS,
        count=_MANY_TEXTS,
    )
    figures["refusal_p99_below_ms"] = p99_below_ms(before, refusal_buckets(server.metrics()))
    return figures
