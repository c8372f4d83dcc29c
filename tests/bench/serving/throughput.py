"""Scenario: how much is answered when many callers wait, and what of the server's CPU each answer costs."""

from contextlib import ExitStack
from typing import Final

from tests.bench.serving.arms import FP32
from tests.bench.serving.loads import BULK, SINGLE, waiting_callers
from tests.bench.serving.measures import medians
from tests.bench.serving.preparing import ADAPTABLE
from tests.bench.serving.quiet import Figures
from tests.bench.serving.servers import Server, naive_server, tagsmith_server
from tests.bench.serving.stand import Stand
from tests.bench.serving.texts import BANKING

_ROUNDS: Final = 3


def throughput(stand: Stand) -> Figures:
    """Measure the ceiling, the naive server and Tagsmith by turns; the figures are the rounds' medians, ratios those within a round."""
    with ExitStack() as stack:
        servers = {
            "naive": stack.enter_context(naive_server(stand.arm, stand.prepared, ADAPTABLE)),
            "tagsmith": stack.enter_context(tagsmith_server(stand.arm, stand.prepared, [stand.version])),
        }
        if stand.arm != FP32:
            servers["naive_fp32"] = stack.enter_context(naive_server(FP32, stand.prepared, ADAPTABLE))
        rounds = [_round(stand, servers) for _ in range(_ROUNDS)]
    return {"loop": stand.bounds.loop(BANKING), **medians(rounds), "rounds": rounds}


def _round(stand: Stand, servers: dict[str, Server]) -> Figures:
    ceiling = stand.bounds.bulk(BANKING)
    most = ceiling["texts_per_s"]
    measured = {name: waiting_callers(stand, server, BANKING, **SINGLE) for name, server in servers.items()}
    measured["tagsmith_bulk"] = waiting_callers(stand, servers["tagsmith"], BANKING, **BULK)
    single, bulk = measured["tagsmith"], measured["tagsmith_bulk"]
    naives = {name: each for name, each in measured.items() if name.startswith("naive")}
    return {
        "ceiling": ceiling,
        **measured,
        "ratios": {
            "single_to_ceiling": single["texts_per_s"] / most,
            "bulk_to_ceiling": bulk["texts_per_s"] / most,
            "single_cpu_above_ceiling_ms": single["server_cpu_ms_per_call"] - ceiling["cpu_ms_per_text"],
            "bulk_cpu_to_ceiling": bulk["server_cpu_ms_per_text"] / ceiling["cpu_ms_per_text"],
            **{
                f"single_to_{name}": single["texts_per_s"] / each["texts_per_s"]
                for name, each in naives.items()
            },
            **{f"{name}_to_ceiling": each["texts_per_s"] / most for name, each in naives.items()},
        },
    }
