"""The README's two tables of the serving benchmark, from its result file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench.serving.aims import AIMS, Aim, find, is_disturbed
from tests.bench.serving.results import RESULT

_OVERLOAD: Final = "overload.tagsmith"
_THREADS: Final = "profile.tagsmith.thread_cpu_ms_per_call"
_ROWS: Final = (  # row, figure, its unit in the row's, digits
    ("Texts/s: the ceiling", "throughput.ceiling.texts_per_s", 1, 0),
    ("Texts/s, 128 callers, one text a call: naive server", "throughput.naive.texts_per_s", 1, 0),
    ("Texts/s, 128 callers, one text a call: Tagsmith", "throughput.tagsmith.texts_per_s", 1, 0),
    ("Texts/s, 16 callers, 32 texts a call: Tagsmith", "throughput.tagsmith_bulk.texts_per_s", 1, 0),
    ("CPU ms a text: the ceiling", "throughput.ceiling.cpu_ms_per_text", 1, 2),
    ("CPU ms a text, one a call: naive server", "throughput.naive.server_cpu_ms_per_text", 1, 2),
    ("CPU ms a text, one a call: Tagsmith", "throughput.tagsmith.server_cpu_ms_per_text", 1, 2),
    ("CPU ms a text, 32 a call: Tagsmith", "throughput.tagsmith_bulk.server_cpu_ms_per_text", 1, 2),
    ("Long-tail texts/s: the ceiling", "long-tail.ceiling.texts_per_s", 1, 0),
    ("Long-tail texts/s, 32 callers: naive server", "long-tail.naive.texts_per_s", 1, 0),
    ("Long-tail texts/s, 32 callers: Tagsmith", "long-tail.tagsmith.texts_per_s", 1, 0),
    ("p50 ms, one caller: in process", "latency.singles.p50_ms", 1, 1),
    ("p50 ms, one caller: naive server", "latency.alone.naive.latency_ms.OK.p50", 1, 1),
    ("p50 ms, one caller: Tagsmith", "latency.alone.tagsmith.latency_ms.OK.p50", 1, 1),
    ("Arrivals/s: half of the naive server's capacity", "latency.arrivals_per_s", 1, 0),
    ("p99 ms of these: naive server", "latency.arrivals.naive.latency_ms.OK.p99", 1, 1),
    ("p99 ms of these: Tagsmith", "latency.arrivals.tagsmith.latency_ms.OK.p99", 1, 1),
    ("Calls/s at three times the capacity: Tagsmith", f"{_OVERLOAD}.overload.calls_per_s", 1, 0),
    ("p99 ms of its refusals, as callers see them", "overload.ratios.refusal_p99_seen_ms", 1, 0),
    (
        "% of its calls that are neither answered nor refused in time",
        "overload.ratios.too_late_share",
        0.01,
        1,
    ),
    ("Answered in time/s at the capacity: Tagsmith", f"{_OVERLOAD}.at_capacity.in_time_per_s", 1, 0),
    ("Answered in time/s at three times the capacity: Tagsmith", f"{_OVERLOAD}.overload.in_time_per_s", 1, 0),
    (
        "Answered in time/s at three times its capacity: naive server",
        "overload.naive.overload.in_time_per_s",
        1,
        0,
    ),
    ("Memory MB with one frozen head", "heads.rss_one_bytes", 1e6, 0),
    ("Memory MB with 50 frozen heads", "heads.rss_all_bytes", 1e6, 0),
    ("File MB of their encoder", "heads.encoder_bytes", 1e6, 1),
    ("File MB of a head", "heads.head_bytes", 1e6, 1),
    ("Memory MB at the most in 20 promotions", "promotion.rss_bytes.peak", 1e6, 0),
    ("p99 ms before a promotion", "promotion.before_ms.p99", 1, 1),
    ("p99 ms while it takes place", "promotion.swap_ms.p99", 1, 1),
    ("CPU ms of a call, 128 callers: Tagsmith's event loop", f"{_THREADS}.loop", 1, 2),
    ("CPU ms of a call, 128 callers: its runners", f"{_THREADS}.runners", 1, 2),
    ("CPU ms of a call, 128 callers: its other threads, gRPC's own", f"{_THREADS}.others", 1, 2),
    ("Tokens that it computes for each token of a text", "profile.tagsmith.computed_to_own_tokens", 1, 2),
    ("CPU ms of a call: a bare grpc.aio server", "profile.echo_alone.server_cpu_ms_per_call", 1, 2),
    ("CPU ms of a call: the same beside a model", "profile.echo_beside_model.server_cpu_ms_per_call", 1, 2),
)


def speed_table(path: Path = RESULT) -> str:
    """Return what was measured."""
    result = _read(path)
    arms = result["arms"]
    lines = _head("", arms)
    for row, figure, unit, digits in _ROWS:
        found = [find(figures, figure) for figures in arms.values()]
        lines.append(_line(row, ["" if each is None else f"{each / unit:,.{digits}f}" for each in found]))
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    commits = sorted(
        {each["commit"] for figures in arms.values() for each in figures.values() if "commit" in each}
    )
    where = f"Measured on {result['hardware']}; {versions}; at {', '.join(commits) or 'an earlier commit'}."
    return "\n".join([*lines, "", where, ""])


def aims_table(path: Path = RESULT) -> str:
    """Return each aim with what was measured for it."""
    arms = _read(path)["arms"]
    lines = _head("| Aim ", arms)
    lines += [
        _line(f"{aim.name} | {_bars(aim, list(arms))}", [_verdict(aim, *each) for each in arms.items()])
        for aim in AIMS
    ]
    return "\n".join([*lines, ""])


def _verdict(aim: Aim, arm: str, figures: dict[str, Any]) -> str:
    measured = aim.measured(figures)
    if measured is None:
        return "–" if aim.bar(arm) is None else "not measured"
    if aim.bar(arm) is None:
        return aim.show(measured)
    verdict = "met" if aim.is_met(arm, measured) else "missed"
    disturbed = ", disturbed" if is_disturbed(figures[aim.scenario]) else ""
    return f"**{aim.show(measured)}**, {verdict}{disturbed}"


def _bars(aim: Aim, arms: Sequence[str]) -> str:
    bars = {arm: aim.bar(arm) for arm in arms}
    told = {arm: f"{aim.kind} {aim.show(bar)}" for arm, bar in bars.items() if bar is not None}
    if len(told) == len(arms) and len(set(told.values())) == 1:
        return next(iter(told.values()))
    return ", ".join(f"{arm} {words}" for arm, words in told.items())


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ValueError("there is no result file of the serving benchmark: make bench")
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def _head(more: str, arms: dict[str, Any]) -> list[str]:
    columns = len(arms) + 1 + more.count("|")
    return [f"| {more}| {' | '.join(arms)} |", "|" + "---|" * columns]


def _line(first: str, cells: Sequence[str]) -> str:
    return f"| {first} | {' | '.join(cells)} |"
