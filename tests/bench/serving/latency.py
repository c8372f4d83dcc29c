"""Scenario: how long a caller waits, alone on an idle server and among arrivals at half of what the naive server can do."""

from typing import Final

from tests.bench.serving.loads import SINGLE, arrivals, waiting_callers
from tests.bench.serving.preparing import ADAPTABLE
from tests.bench.serving.quiet import Figures, settle
from tests.bench.serving.servers import Server, naive_server, tagsmith_server
from tests.bench.serving.stand import Stand
from tests.bench.serving.texts import BANKING

_ROUNDS: Final = 3
_ALONE_S: Final = 3.0
_ARRIVALS_S: Final = 15.0
_SHARE_OF_NAIVE: Final = 0.5


def latency(stand: Stand) -> Figures:
    """Measure the in-process loop over single texts, the naive server and Tagsmith by turns."""
    with (
        naive_server(stand.arm, stand.prepared, ADAPTABLE) as naive,
        tagsmith_server(stand.arm, stand.prepared, [stand.version]) as tagsmith,
    ):
        capacity = waiting_callers(stand, naive, BANKING, **SINGLE)["calls_per_s"]
        rounds = [_round(stand, naive, tagsmith, _SHARE_OF_NAIVE * capacity) for _ in range(_ROUNDS)]
    figures = settle(rounds)
    return {
        "arrivals_per_s": _SHARE_OF_NAIVE * capacity,
        **figures,
        "ratios": _ratios(figures),
        "rounds": rounds,
    }


def _round(stand: Stand, naive: Server, tagsmith: Server, calls_per_s: float) -> Figures:
    servers = (naive, tagsmith)
    return {
        "singles": stand.bounds.singles(BANKING),
        "alone": {
            each.name: waiting_callers(stand, each, BANKING, measured_s=_ALONE_S, callers=1, texts_per_call=1)
            for each in servers
        },
        "arrivals": {
            each.name: arrivals(stand, each, BANKING, calls_per_s=calls_per_s, measured_s=_ARRIVALS_S)
            for each in servers
        },
    }


def _ratios(figures: Figures) -> Figures:
    def ok_ms(table: str, server: str, percentile: str) -> float:
        return float(figures[table][server]["latency_ms"]["OK"][percentile])

    single_ms = figures["singles"]["p50_ms"]
    return {
        "alone_p50_above_singles_ms": ok_ms("alone", "tagsmith", "p50") - single_ms,
        "naive_alone_p50_above_singles_ms": ok_ms("alone", "naive", "p50") - single_ms,
        "arrivals_p99_to_naive": ok_ms("arrivals", "tagsmith", "p99") / ok_ms("arrivals", "naive", "p99"),
    }
