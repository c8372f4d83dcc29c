"""Scenario: short texts with long ones among them, where batches by order of arrival are mostly padding."""

from typing import Final

from tests.bench.serving.loads import waiting_callers
from tests.bench.serving.preparing import ADAPTABLE
from tests.bench.serving.quiet import Figures, settle
from tests.bench.serving.servers import Server, naive_server, tagsmith_server
from tests.bench.serving.stand import Stand
from tests.bench.serving.texts import LONG_TAIL

_SHAPE: Final = {"callers": 32, "texts_per_call": 1}
_ROUNDS: Final = 3


def long_tail(stand: Stand) -> Figures:
    """Measure the ceiling, the naive server and Tagsmith by turns."""
    with (
        naive_server(stand.arm, stand.prepared, ADAPTABLE) as naive,
        tagsmith_server(stand.arm, stand.prepared, [stand.version]) as tagsmith,
    ):
        rounds = [_round(stand, naive, tagsmith) for _ in range(_ROUNDS)]
    figures = settle(rounds)
    speeds = {name: each["texts_per_s"] for name, each in figures.items()}
    return {
        "loop": stand.bounds.loop(LONG_TAIL),
        **figures,
        "ratios": {
            "to_ceiling": speeds["tagsmith"] / speeds["ceiling"],
            "to_naive": speeds["tagsmith"] / speeds["naive"],
        },
        "rounds": rounds,
    }


def _round(stand: Stand, naive: Server, tagsmith: Server) -> Figures:
    return {
        "ceiling": stand.bounds.bulk(LONG_TAIL),
        **{each.name: waiting_callers(stand, each, LONG_TAIL, **_SHAPE) for each in (naive, tagsmith)},
    }
