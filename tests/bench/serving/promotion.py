"""Scenario: an alias moves between two versions, again and again, while calls arrive. What callers notice, and what stays in memory."""

import time
from typing import Any, Final

from tests.bench.serving import frames
from tests.bench.serving.loads import SINGLE, WARM_UP_S, waiting_callers
from tests.bench.serving.measures import spread_ms
from tests.bench.serving.preparing import Prepared
from tests.bench.serving.processes import rss_bytes
from tests.bench.serving.publishing import adaptable_versions
from tests.bench.serving.quiet import Figures
from tests.bench.serving.servers import Server, tagsmith_server
from tests.bench.serving.stand import Stand
from tests.bench.serving.texts import BANKING

ALIAS: Final = "production"
PROMOTIONS: Final = 20
_EVERY_S: Final = 5.0
_BEFORE_S: Final = 1.0  # whose latencies a swap's are held to
_AFTER_S: Final = 0.5  # after the new version's first answer, while the old one is let go
_POLL_INTERVAL_MS: Final = 250
_SHARE_OF_CAPACITY: Final = 0.5
_AVERAGED: Final = 5  # looks at the memory, which moves by a tenth from one to the next
_SETTLED: Final = 2  # promotions after which both versions have been loaded once

Row = tuple[float, float, int, int]  # see generator.load


def promotion(stand: Stand) -> Figures:
    """Promote under arrivals at half of the server's capacity."""
    versions = adaptable_versions(stand.prepared)
    model = versions[0].model
    move(stand.prepared, model, versions[0].number)
    with tagsmith_server(
        stand.arm, stand.prepared, [f"{model}@{ALIAS}"], poll_interval_ms=_POLL_INTERVAL_MS
    ) as server:
        asked = {"models": [f"{model}@{ALIAS}"], "versions": [[str(each) for each in versions]]}
        capacity = waiting_callers(stand, server, BANKING, **SINGLE, **asked)["calls_per_s"]
        stand.begin_load(
            server,
            BANKING,
            kind="open",
            calls_per_s=_SHARE_OF_CAPACITY * capacity,
            warm_up_s=WARM_UP_S,
            measured_s=_BEFORE_S + _EVERY_S * PROMOTIONS,
            seed=1,
            keep_rows=True,
            count=400_000,
            **asked,
        )
        moves = _promote(stand.prepared, server, model)
        figures = stand.loaded(server, BANKING, is_checked=False)
    rows: list[Row] = figures.pop("rows")
    strangers = sum(status == frames.OK and which < 0 for _, _, status, which in rows)
    told = _swaps(rows, moves, lost=figures["lost"])
    return {**figures, **told, "of_another_version": strangers, "promotions": PROMOTIONS}


def move(prepared: Prepared, model: str, number: int) -> None:
    """Point the alias to a version, as the training service does."""
    prepared.models.set_alias(model, ALIAS, number, expected=None, actor="benchmark", reason="promotion")


def _promote(prepared: Prepared, server: Server, model: str) -> list[dict[str, float]]:
    """Move the alias at regular moments; tell when, and the server's memory before the next move."""
    moves = []
    next_s = time.monotonic() + WARM_UP_S + 2 * _BEFORE_S
    for place in range(1, PROMOTIONS + 1):
        time.sleep(max(0.0, next_s - time.monotonic()))
        move(prepared, model, 1 + place % 2)
        moved_s = time.monotonic()
        next_s += _EVERY_S
        time.sleep(max(0.0, next_s - _BEFORE_S / 2 - time.monotonic()))
        moves.append({"moved_s": moved_s, "rss_bytes": rss_bytes(server.pids)})
    return moves


def _swaps(rows: list[Row], moves: list[dict[str, float]], *, lost: int) -> Figures:
    """Hold the calls of every swap to those before it."""
    before: list[float] = []
    meanwhile: list[float] = []
    swap_s: list[float] = []
    for place, each in enumerate(moves, start=1):
        moved_s, new = each["moved_s"], place % 2
        ends_s = moved_s + _EVERY_S - _BEFORE_S
        first_s = min(
            (sent + took for sent, took, _, which in rows if which == new and moved_s <= sent <= ends_s),
            default=None,
        )
        if first_s is not None:
            swap_s.append(first_s - moved_s)
        over_s = ends_s if first_s is None else first_s + _AFTER_S
        before += [took for sent, took, *_ in rows if moved_s - _BEFORE_S <= sent < moved_s]
        meanwhile += [took for sent, took, *_ in rows if moved_s <= sent <= over_s]
    rss = [each["rss_bytes"] for each in moves]
    first, last = rss[_SETTLED - 1 : _SETTLED - 1 + _AVERAGED], rss[-_AVERAGED:]
    told: dict[str, Any] = {"before_ms": spread_ms(before), "swap_ms": spread_ms(meanwhile)}
    return {
        **told,
        "swaps_seen": len(swap_s),
        "swap_takes_ms": spread_ms(swap_s),
        "rss_after_bytes": rss,
        "ratios": {
            "swap_p99_to_before": told["swap_ms"]["p99"] / told["before_ms"]["p99"],
            "failed_calls": sum(status != frames.OK for _, _, status, _ in rows) + lost,
            "rss_growth": sum(last) / sum(first) - 1,
        },
    }
