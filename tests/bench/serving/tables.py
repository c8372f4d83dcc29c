"""The README's two tables of the serving benchmark, from its result file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench.serving.aims import AIMS, Aim
from tests.bench.serving.results import RESULT

_SPEEDS: Final = (  # row, scenario, table, figure, digits
    ("Texts/s: the ceiling", "throughput", "ceiling", "texts_per_s", 0),
    ("Texts/s: naive server, one text a call", "throughput", "naive", "texts_per_s", 0),
    ("Texts/s: Tagsmith, one text a call", "throughput", "tagsmith", "texts_per_s", 0),
    ("Texts/s: Tagsmith, 32 texts a call", "throughput", "tagsmith_bulk", "texts_per_s", 0),
    ("CPU ms a text: the ceiling", "throughput", "ceiling", "cpu_ms_per_text", 2),
    ("CPU ms a text: naive server, one text a call", "throughput", "naive", "server_cpu_ms_per_text", 2),
    ("CPU ms a text: Tagsmith, one text a call", "throughput", "tagsmith", "server_cpu_ms_per_text", 2),
    ("CPU ms a text: Tagsmith, 32 texts a call", "throughput", "tagsmith_bulk", "server_cpu_ms_per_text", 2),
    ("Long-tail texts/s: the ceiling", "long-tail", "ceiling", "texts_per_s", 0),
    ("Long-tail texts/s: naive server", "long-tail", "naive", "texts_per_s", 0),
    ("Long-tail texts/s: Tagsmith", "long-tail", "tagsmith", "texts_per_s", 0),
)
_LATENCIES: Final = (
    ("p50 ms alone: naive server", "alone", "naive", "p50"),
    ("p50 ms alone: Tagsmith", "alone", "tagsmith", "p50"),
    ("p99 ms among arrivals: naive server", "arrivals", "naive", "p99"),
    ("p99 ms among arrivals: Tagsmith", "arrivals", "tagsmith", "p99"),
)


def speed_table(path: Path = RESULT) -> str:
    """Return what was measured."""
    result = _read(path)
    arms = result["arms"]
    lines = _head("", arms)
    for row, *keys, digits in _SPEEDS:
        lines.append(_line(row, [_number(_dig(arm, keys), int(digits)) for arm in arms.values()]))
    lines.append(
        _line(
            "p50 ms alone: in process",
            [_number(_dig(a, ("latency", "singles", "p50_ms")), 1) for a in arms.values()],
        )
    )
    for row, table, server, percentile in _LATENCIES:
        keys = ("latency", table, server, "latency_ms", "OK", percentile)
        lines.append(_line(row, [_number(_dig(arm, keys), 1) for arm in arms.values()]))
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return "\n".join([*lines, "", f"Measured on {result['hardware']}; {versions}.", ""])


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
    return f"**{aim.show(measured)}**, {'met' if aim.is_met(arm, measured) else 'missed'}"


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


def _dig(found: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        found = found.get(key, {})
    return found


def _number(figure: Any, digits: int) -> str:
    return f"{figure:,.{digits}f}" if isinstance(figure, int | float) else ""


def _head(more: str, arms: dict[str, Any]) -> list[str]:
    columns = len(arms) + 1 + more.count("|")
    return [f"| {more}| {' | '.join(arms)} |", "|" + "---|" * columns]


def _line(first: str, cells: Sequence[str]) -> str:
    return f"| {first} | {' | '.join(cells)} |"
