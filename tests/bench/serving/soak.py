"""`python -m tests.bench.serving.soak --minutes 60`: hours of ill treatment. Does memory stay, does every call end, are answers right?

Tagsmith gets calls at a rate that changes every few seconds, up to more than it can answer, with promotions, cancellations, expired
deadlines and bad input; a bare grpc.aio echo server gets the same calls. Exits 1 if an aim is missed.
"""

import argparse
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
import numpy as np

from shared.stubs.inference.v1 import inference_pb2, inference_pb2_grpc
from tests.bench.serving.arms import arms
from tests.bench.serving.loads import SINGLE, waiting_callers
from tests.bench.serving.preparing import FOLDER, Prepared, prepare
from tests.bench.serving.processes import rss_bytes
from tests.bench.serving.promotion import ALIAS, move
from tests.bench.serving.publishing import adaptable_versions, heads
from tests.bench.serving.quiet import Figures, Patience
from tests.bench.serving.results import RESULT, keep
from tests.bench.serving.servers import ECHO, TAGSMITH, Server, echo_server, tagsmith_server
from tests.bench.serving.stand import standing
from tests.bench.serving.texts import BANKING
from tests.bench.serving.workers import Worker, end_in_order

SCENARIO: Final = "soak"
_POOL_TEXTS: Final = 1_500
_PHASE_S: Final = (5.0, 20.0)
_LOAD_SHARES: Final = (0.1, 0.3, 0.5, 0.8, 1.5)  # of the capacity
_PROMOTION_EVERY_S: Final = (15.0, 45.0)
_LOOK_EVERY_S: Final = 5.0
_KEPT_EVERY: Final = 12  # looks
_SETTLING_SHARE: Final = 0.25  # of the time; what came before is left out of the fit
_ON_DEMAND: Final = 3
_MEAN_TEXTS: Final = 6.0  # of a call, about


@dataclass(frozen=True, slots=True)
class Look:
    """What both servers hold at a moment."""

    at_s: float  # since the start
    tagsmith_bytes: int
    echo_bytes: int
    models: frozenset[str]  # versions in Tagsmith's memory, with what each is doing


class Watch(threading.Thread):
    """Looks at both servers' memory and promotes now and then, until told to end."""

    def __init__(self, prepared: Prepared, tagsmith: Server, echo: Server, model: str) -> None:
        super().__init__(daemon=True)
        self.looks: list[Look] = []
        self.promotions = 0
        self.over = threading.Event()
        self._prepared, self._servers, self._model = prepared, (tagsmith, echo), model

    def run(self) -> None:
        """Look and promote."""
        dice = random.Random(1)  # noqa: S311  # moments of promotions, no secret
        started_s = time.monotonic()
        promote_s = started_s + dice.uniform(*_PROMOTION_EVERY_S)
        with grpc.insecure_channel(self._servers[0].address) as channel:
            inference = inference_pb2_grpc.InferenceServiceStub(channel)
            while not self.over.wait(_LOOK_EVERY_S):
                now_s = time.monotonic()
                tagsmith, echo = (rss_bytes(server.pids) for server in self._servers)
                listed = inference.ListLoadedModels(inference_pb2.ListLoadedModelsRequest(), timeout=30)
                models = frozenset(f"{each.model_version} {each.state}" for each in listed.loaded_models)
                self.looks.append(Look(now_s - started_s, tagsmith, echo, models))
                promote_s = self._promote(dice, now_s, promote_s)

    def _promote(self, dice: random.Random, now_s: float, promote_s: float) -> float:
        """Promote if it is time; return when it is next."""
        if now_s < promote_s:
            return promote_s
        self.promotions += 1
        move(self._prepared, self._model, 1 + self.promotions % 2)
        return now_s + dice.uniform(*_PROMOTION_EVERY_S)


def soak(arm: str, prepared: Prepared, minutes: float) -> Figures:
    """Run it."""
    versions = adaptable_versions(prepared)
    model, on_demand = versions[0].model, [str(each) for each in heads(prepared)[:_ON_DEMAND]]
    move(prepared, model, 1)
    reference = f"{model}@{ALIAS}"
    with (
        standing(arms()[arm], prepared, Patience(1)) as stand,
        tagsmith_server(arms()[arm], prepared, [reference], idle_unload_s=60) as tagsmith,
        echo_server() as echo,
        Worker("tests.bench.serving.soak_load") as load,
    ):
        expected = stand.bounds.labels(BANKING, range(_POOL_TEXTS))
        load.ask("open", corpus=str(prepared.corpora[BANKING]), count=_POOL_TEXTS, expected=expected)
        asked = {"models": [reference], "versions": [[str(each) for each in versions]]}
        capacity = waiting_callers(stand, tagsmith, BANKING, **SINGLE, **asked)["calls_per_s"]
        watch = Watch(prepared, tagsmith, echo, model)
        watch.start()
        counts = _phases(load, tagsmith, echo, reference, on_demand, capacity, minutes)
        if not watch.is_alive():
            sys.exit("the watch ended early: what it says of memory is not of the whole time")
        watch.over.set()
        watch.join()
    return _figures(minutes, counts, watch)


def _phases(
    load: Worker,
    tagsmith: Server,
    echo: Server,
    model: str,
    on_demand: list[str],
    capacity: float,
    minutes: float,
) -> dict[str, Counter[str]]:
    dice = random.Random(2)  # noqa: S311  # lengths and rates of phases, no secret
    counts: dict[str, Counter[str]] = {TAGSMITH: Counter(), ECHO: Counter()}
    ends_s = time.monotonic() + 60 * minutes
    number = 0
    while (left_s := ends_s - time.monotonic()) > 0:
        number += 1
        found = load.ask(
            "phase",
            addresses={TAGSMITH: tagsmith.address, ECHO: echo.address},
            model=model,
            on_demand=on_demand,
            calls_per_s=capacity / _MEAN_TEXTS * dice.choice(_LOAD_SHARES),
            seconds=min(left_s, dice.uniform(*_PHASE_S)),
            seed=number,
        )
        for name, each in found.items():
            counts[name].update(each)
        print(f"{left_s / 60:.0f} minutes left: {dict(counts[TAGSMITH])}", file=sys.stderr, flush=True)
    return counts


def _figures(minutes: float, counts: dict[str, Counter[str]], watch: Watch) -> Figures:
    growth = {
        TAGSMITH: growth_bytes_per_hour(
            [(each.at_s, each.tagsmith_bytes, each.models) for each in watch.looks]
        ),
        ECHO: growth_bytes_per_hour([(each.at_s, each.echo_bytes, frozenset()) for each in watch.looks]),
    }
    ours = counts[TAGSMITH]
    return {
        "minutes": minutes,
        "promotions": watch.promotions,
        "calls": {name: dict(each) for name, each in counts.items()},
        "unended": ours["calls"] - ours["ended"] - ours["cancelled"],
        "unexpected": ours["unexpected"],
        "checked": ours["checked"],
        "wrong": ours["wrong"],
        "growth_bytes_per_hour": growth,
        "growth_share_per_hour": growth[TAGSMITH] / watch.looks[-1].tagsmith_bytes,
        "rss_bytes": [
            [round(each.at_s), each.tagsmith_bytes, each.echo_bytes, len(each.models)]
            for each in watch.looks[::_KEPT_EVERY]
        ],
    }


def growth_bytes_per_hour(looks: Sequence[tuple[float, int, frozenset[str]]]) -> float:
    """Fit one slope to what a process held, with a level of its own for every set of models that it held; the first quarter is left out.

    A version that comes or goes is no growth, and how often the looks fall on a promotion is chance.
    """
    settled = [look for look in looks if look[0] >= _SETTLING_SHARE * looks[-1][0]]
    of_models: dict[frozenset[str], list[tuple[float, int]]] = defaultdict(list)
    for at_s, size, models in settled:
        of_models[models].append((at_s, size))
    seconds, sizes = (
        np.concatenate([_centred([look[k] for look in group]) for group in of_models.values()])
        for k in (0, 1)
    )
    return float(3600 * (seconds * sizes).sum() / (seconds**2).sum())


def _centred(values: Sequence[float]) -> np.ndarray:
    exact = np.array(values, dtype=np.float64)
    return exact - exact.mean()


def main() -> int:
    """Soak, keep the result, tell the claims."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.serving.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--arm", choices=arms(), default="fp32")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="what is trained once")
    parser.add_argument("--results", type=Path, default=RESULT, help="the result file")
    chosen = parser.parse_args()
    end_in_order()
    figures = soak(chosen.arm, prepare(chosen.folder), chosen.minutes)
    held = keep(chosen.results, chosen.arm, SCENARIO, figures)
    for claim in held:
        word = "met   " if claim["met"] else "MISSED"
        print(f"{word} {claim['name']}: {claim['measured']:g}, {claim['aim']}")
    for name, growth in figures["growth_bytes_per_hour"].items():
        print(f"{name}: {growth / 1e6:+.2f} MB an hour")
    return int(not all(claim["met"] for claim in held))


if __name__ == "__main__":
    sys.exit(main())
