"""Scenario: fifty models that were trained on one frozen base. What the other forty-nine cost in memory, and in speed when all are asked."""

import time
from typing import Final

from tests.bench.serving.loads import SINGLE, waiting_callers
from tests.bench.serving.preparing import FROZEN
from tests.bench.serving.processes import rss_bytes
from tests.bench.serving.publishing import heads as published_heads
from tests.bench.serving.quiet import Figures, settle
from tests.bench.serving.servers import Server, tagsmith_server
from tests.bench.serving.stand import Stand
from tests.bench.serving.texts import BANKING

_ROUNDS: Final = 2
_MEASURED_S: Final = 3.0
_SETTLE_S: Final = 1.0


def heads(stand: Stand) -> Figures:
    """Compare a server with one head to one with all, and a mix of heads to a single one on the latter."""
    names = [str(version) for version in published_heads(stand.prepared)]
    graphs = stand.prepared.manifest(FROZEN).variants[stand.arm.variant].graphs
    with tagsmith_server(stand.arm, stand.prepared, names[:1]) as server:
        _ask(stand, server, names[:1])
        one_bytes = _settled_bytes(server)
    with tagsmith_server(stand.arm, stand.prepared, names) as server:
        _ask(stand, server, names)
        all_bytes = _settled_bytes(server)
        rounds = [
            {"single": _ask(stand, server, names[:1]), "mix": _ask(stand, server, names)}
            for _ in range(_ROUNDS)
        ]
    figures = settle(rounds)
    encoder_bytes = graphs["encoder"].file.size_bytes
    return {
        "heads": len(names),
        "rss_one_bytes": one_bytes,
        "rss_all_bytes": all_bytes,
        "encoder_bytes": encoder_bytes,
        "head_bytes": graphs["head"].file.size_bytes,
        **figures,
        "ratios": {
            "mix_to_single": figures["mix"]["texts_per_s"] / figures["single"]["texts_per_s"],
            "rss_growth_to_encoder": (all_bytes - one_bytes) / encoder_bytes,
        },
        "rounds": rounds,
    }


def _ask(stand: Stand, server: Server, names: list[str]) -> Figures:
    return waiting_callers(
        stand,
        server,
        BANKING,
        measured_s=_MEASURED_S,
        models=names,
        versions=[[name] for name in names],
        **SINGLE,
    )


def _settled_bytes(server: Server) -> int:
    time.sleep(_SETTLE_S)
    return rss_bytes(server.pids)
