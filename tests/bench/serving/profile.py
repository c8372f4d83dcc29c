"""Scenario: where the CPU of a call goes. By kind of thread in Tagsmith, beside what gRPC alone takes.

The same load goes to a bare grpc.aio server on the same event loop: alone on the machine, and beside the ceiling's loop, which keeps all
cores and their caches as busy as a server's own model does. What that takes is the least that any server on grpc.aio adds to its model.
"""

import time
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from tests.bench.serving.loads import SINGLE, WARM_UP_S
from tests.bench.serving.processes import thread_cpu_s
from tests.bench.serving.quiet import Figures, settle
from tests.bench.serving.servers import Server, echo_server, tagsmith_server
from tests.bench.serving.stand import Stand, ceiling_of
from tests.bench.serving.texts import BANKING

_ROUNDS: Final = 2
_MEASURED_S: Final = 4.0
_ECHO_MEASURED_S: Final = 2.0  # it answers some texts many times faster, and none is to come twice
_MARGIN_S: Final = 0.5  # of the measured time, in which the load surely runs
_TOKENS, _PADDED_TOKENS = "tagsmith_batch_tokens_total", "tagsmith_batch_padded_tokens_total"
_NICENESS: Final = 10  # of the loop beside the echo server: that of Tagsmith's runners


def profile(stand: Stand) -> Figures:
    """Measure by turns."""
    with tagsmith_server(stand.arm, stand.prepared, [stand.version]) as tagsmith, echo_server() as echo:
        rounds = [_round(stand, tagsmith, echo) for _ in range(_ROUNDS)]
    figures = settle(rounds)
    above_ms = figures["tagsmith"]["server_cpu_ms_per_call"] - figures["ceiling"]["cpu_ms_per_text"]
    return {**figures, "ratios": {"cpu_above_ceiling_ms": above_ms}, "rounds": rounds}


def _round(stand: Stand, tagsmith: Server, echo: Server) -> Figures:
    served = stand.patience.quietest(lambda: _by_thread(stand, tagsmith))
    return {
        "ceiling": stand.bounds.bulk(BANKING),
        "tagsmith": served,
        "echo_alone": stand.patience.quietest(
            lambda: _load(stand, echo, kind="closed", measured_s=_ECHO_MEASURED_S, **SINGLE)
        ),
        "echo_beside_model": _beside_model(stand, echo, served["calls_per_s"]),
    }


def _load(stand: Stand, server: Server, **fields: Any) -> Figures:
    _begin(stand, server, **fields)
    return stand.loaded(server, BANKING, is_checked=False)


def _begin(stand: Stand, server: Server, *, measured_s: float = _MEASURED_S, **fields: Any) -> None:
    stand.begin_load(server, BANKING, warm_up_s=WARM_UP_S, measured_s=measured_s, **fields)


def _by_thread(stand: Stand, server: Server) -> Figures:
    """Load the server, and look at its threads meanwhile."""
    _begin(stand, server, kind="closed", **SINGLE)
    time.sleep(WARM_UP_S + _MARGIN_S)
    started_s, before_s = time.monotonic(), thread_cpu_s(server.process.pid)
    time.sleep(_MEASURED_S - 2 * _MARGIN_S)
    after_s, passed_s = thread_cpu_s(server.process.pid), time.monotonic() - started_s
    figures = stand.loaded(server, BANKING, is_checked=True)
    calls = figures["calls_per_s"] * passed_s
    tokens, padded = (_counted(server, name) for name in (_TOKENS, _PADDED_TOKENS))
    return {
        **figures,
        "computed_to_own_tokens": padded / tokens,
        "thread_cpu_ms_per_call": {kind: 1000 * (after_s[kind] - before_s[kind]) / calls for kind in after_s},
    }


def _counted(server: Server, metric: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(server.metrics())
        for sample in family.samples
        if sample.name == metric
    )


def _beside_model(stand: Stand, server: Server, calls_per_s: float) -> Figures:
    """Load the server at a rate, while the loop of the ceiling runs."""
    seconds = WARM_UP_S + _MEASURED_S + _MARGIN_S
    texts = round(seconds * stand.bounds.bulk(BANKING)["texts_per_s"])
    with ceiling_of(stand.arm, stand.prepared) as model:
        model.ask("step_back", niceness=_NICENESS)
        options = stand.bounds.loop(BANKING)
        corpus = str(stand.prepared.corpora[BANKING])
        model.begin("bulk", corpus=corpus, start=0, count=texts, **options)
        figures = _load(stand, server, kind="open", calls_per_s=calls_per_s, seed=1)
        loop = model.result()
    figures["others_cores"] -= loop["texts_per_s"] * loop["cpu_ms_per_text"] / 1000  # which is no other's
    return figures
