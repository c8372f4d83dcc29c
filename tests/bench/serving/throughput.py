"""Scenario: how much is answered when many callers wait, and what of the server's CPU each answer costs."""

from contextlib import ExitStack
from typing import Final

from tests.bench.serving.arms import FP32
from tests.bench.serving.loads import BULK, SINGLE, waiting_callers
from tests.bench.serving.preparing import ADAPTABLE
from tests.bench.serving.quiet import Figures, settle
from tests.bench.serving.servers import Server, naive_server, tagsmith_server
from tests.bench.serving.stand import Stand
from tests.bench.serving.texts import BANKING

_ROUNDS: Final = 5


def throughput(stand: Stand) -> Figures:
    """Measure the ceiling, the naive server and Tagsmith by turns."""
    with ExitStack() as stack:
        servers = {
            "naive": stack.enter_context(naive_server(stand.arm, stand.prepared, ADAPTABLE)),
            "tagsmith": stack.enter_context(tagsmith_server(stand.arm, stand.prepared, [stand.version])),
        }
        if stand.arm != FP32:
            servers["naive_fp32"] = stack.enter_context(naive_server(FP32, stand.prepared, ADAPTABLE))
        rounds = [_round(stand, servers) for _ in range(_ROUNDS)]
    figures = settle(rounds)
    return {
        "loop": stand.bounds.loop(BANKING),
        **figures,
        "ratios": _ratios(figures),
        "rounds": rounds,
    }


def _round(stand: Stand, servers: dict[str, Server]) -> Figures:
    return {
        "ceiling": stand.bounds.bulk(BANKING),
        **{name: waiting_callers(stand, server, BANKING, **SINGLE) for name, server in servers.items()},
        "tagsmith_bulk": waiting_callers(stand, servers["tagsmith"], BANKING, **BULK),
    }


def _ratios(figures: Figures) -> Figures:
    ceiling, single, bulk = figures["ceiling"], figures["tagsmith"], figures["tagsmith_bulk"]
    speeds = {name: each["texts_per_s"] for name, each in figures.items()}
    naives = {name: speed for name, speed in speeds.items() if name.startswith("naive")}
    return {
        "single_to_ceiling": speeds["tagsmith"] / speeds["ceiling"],
        "bulk_to_ceiling": speeds["tagsmith_bulk"] / speeds["ceiling"],
        "single_cpu_above_ceiling_ms": single["server_cpu_ms_per_call"] - ceiling["cpu_ms_per_text"],
        "bulk_cpu_to_ceiling": bulk["server_cpu_ms_per_text"] / ceiling["cpu_ms_per_text"],
        **{f"single_to_{name}": speeds["tagsmith"] / speed for name, speed in naives.items()},
        **{f"{name}_to_ceiling": speed / speeds["ceiling"] for name, speed in naives.items()},
    }
