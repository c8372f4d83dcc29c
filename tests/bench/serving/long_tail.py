"""Scenario: short texts with long ones among them, where batches by order of arrival are mostly padding."""

from typing import Final

from tests.bench.serving.loads import waiting_callers
from tests.bench.serving.measures import medians
from tests.bench.serving.preparing import ADAPTABLE
from tests.bench.serving.quiet import Figures
from tests.bench.serving.servers import Server, naive_server, tagsmith_server
from tests.bench.serving.stand import Stand
from tests.bench.serving.texts import LONG_TAIL

_SHAPE: Final = {"callers": 32, "texts_per_call": 1}
_ROUNDS: Final = 3


def long_tail(stand: Stand) -> Figures:
    """Measure the ceiling, the naive server and Tagsmith by turns; medians of the rounds, ratios within a round."""
    with (
        naive_server(stand.arm, stand.prepared, ADAPTABLE) as naive,
        tagsmith_server(stand.arm, stand.prepared, [stand.version]) as tagsmith,
    ):
        rounds = [_round(stand, naive, tagsmith) for _ in range(_ROUNDS)]
    return {"loop": stand.bounds.loop(LONG_TAIL), **medians(rounds), "rounds": rounds}


def _round(stand: Stand, naive: Server, tagsmith: Server) -> Figures:
    ceiling = stand.bounds.bulk(LONG_TAIL)
    measured = {each.name: waiting_callers(stand, each, LONG_TAIL, **_SHAPE) for each in (naive, tagsmith)}
    speed = measured[tagsmith.name]["texts_per_s"]
    return {
        "ceiling": ceiling,
        **measured,
        "ratios": {
            "to_ceiling": speed / ceiling["texts_per_s"],
            "to_naive": speed / measured[naive.name]["texts_per_s"],
        },
    }
