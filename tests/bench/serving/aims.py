"""What the figures are held to. An aim that is missed is told as missed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from tests.bench.serving.quiet import QUIET_CORES

Arms = Mapping[str, Mapping[str, Any]]  # figures by arm, then by scenario
PLAIN: Final = "fp32"


@dataclass(frozen=True, slots=True)
class Aim:
    """One bar."""

    name: str
    figure: str  # `scenario.table.figure`
    kind: Literal["at least", "at most"]
    plain: float | None  # the bar for fp32 on the CPU provider
    best: float | None  # the bar for the machine's best variant
    show: Callable[[float], str]

    @property
    def scenario(self) -> str:
        """What measures the figure."""
        return self.figure.partition(".")[0]

    def bar(self, arm: str) -> float | None:
        """The bar of an arm; None where it has none."""
        return self.plain if arm == PLAIN else self.best

    def measured(self, figures: Mapping[str, Any]) -> float | None:
        """Find the figure; None where it was not measured."""
        return find(figures, self.figure)

    def is_met(self, arm: str, measured: float) -> bool:
        """Whether a figure reaches the bar."""
        bar = self.bar(arm)
        if bar is None:
            return True
        return measured >= bar if self.kind == "at least" else measured <= bar


def find(figures: Mapping[str, Any], name: str) -> float | None:
    """Return the figure of a dotted name, within an arm's; None where there is none."""
    found: Any = figures
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return None if found is None else float(found)


def is_disturbed(figures: Mapping[str, Any]) -> bool:
    """Whether others took part in a measurement that counts: its verdict is then worth little, whichever it is."""
    counted = {name: each for name, each in figures.items() if name != "rounds"}
    tables = [each for each in counted.values() if isinstance(each, Mapping)]
    return counted.get("others_cores", 0.0) > QUIET_CORES or any(is_disturbed(each) for each in tables)


def _times(figure: float) -> str:
    return f"{figure:.2f} x"


def _ms(figure: float) -> str:
    return f"{figure:.2f} ms"


def _share(figure: float) -> str:
    return f"{100 * figure:.1f} %"


def _count(figure: float) -> str:
    return f"{figure:.0f}"


def _both(
    name: str, figure: str, kind: Literal["at least", "at most"], bar: float, show: Callable[[float], str]
) -> Aim:
    return Aim(name, figure, kind, bar, bar, show)


_LOADED: Final = {
    "throughput": "Waiting callers",
    "long-tail": "Long-tail mix",
    "latency": "One caller, and arrivals",
    "overload": "Three times the capacity",
    "heads": "50 frozen heads",
    "promotion": "Promotion under load",
}

AIMS: Final[Sequence[Aim]] = (
    _both("128 callers, one text a call: server CPU a call above the ceiling's a text", "throughput.ratios.single_cpu_above_ceiling_ms", "at most", 0.40, _ms),
    _both("16 callers, 32 texts a call: server CPU a text to the ceiling's", "throughput.ratios.bulk_cpu_to_ceiling", "at most", 1.08, _times),
    Aim("128 callers, one text a call: texts/s to the ceiling", "throughput.ratios.single_to_ceiling", "at least", 0.78, None, _times),
    Aim("128 callers, one text a call: texts/s to the naive server in fp32", "throughput.ratios.single_to_naive_fp32", "at least", None, 2.5, _times),
    Aim("16 callers, 32 texts a call: texts/s to the ceiling", "throughput.ratios.bulk_to_ceiling", "at least", 0.90, 0.85, _times),
    Aim("Long-tail mix, 32 callers: texts/s to its ceiling", "long-tail.ratios.to_ceiling", "at least", 0.85, None, _times),
    Aim("Long-tail mix, 32 callers: texts/s to the naive server", "long-tail.ratios.to_naive", "at least", 1.0, None, _times),
    _both("One caller, idle server: p50 above the in-process one", "latency.ratios.alone_p50_above_singles_ms", "at most", 0.8, _ms),
    _both("Arrivals at half of the naive server's capacity: p99 to the naive server's", "latency.ratios.arrivals_p99_to_naive", "at most", 0.7, _times),
    _both("Three times the capacity: answered in time, to the rate at the capacity", "overload.ratios.answered_to_capacity", "at least", 0.8, _times),
    _both("Three times the capacity: answers that come within their deadline", "overload.ratios.in_time_share", "at least", 0.999, _share),
    _both("Three times the capacity: refused within, p99 from a call's entry", "overload.ratios.refusal_p99_ms", "at most", 5.0, _ms),
    _both("Three times the capacity, twice: memory grows from that at the capacity by", "overload.ratios.rss_growth", "at most", 0.02, _share),
    _both("50 frozen heads: memory of the other 49 to the encoder's file", "heads.ratios.rss_growth_to_encoder", "at most", 0.10, _share),
    _both("50 frozen heads: texts/s of a random mix to a single head's", "heads.ratios.mix_to_single", "at least", 0.9, _times),
    _both("Promotion under load: p99 in the swap to the one before", "promotion.ratios.swap_p99_to_before", "at most", 2.0, _times),
    _both("Promotion under load: swaps that were seen to their end, of 20", "promotion.swaps_seen", "at least", 20, _count),
    _both("Promotion under load: calls that failed", "promotion.ratios.failed_calls", "at most", 0, _count),
    _both("20 promotions: memory grows by", "promotion.ratios.rss_growth", "at most", 0.02, _share),
    *(_both(f"{words}: answers that were wrong, not whole, or lost", f"{name}.faults", "at most", 0, _count) for name, words in _LOADED.items()),
    _both("Soak: memory grows in an hour by", "soak.growth_share_per_hour", "at most", 0.02, _share),
    _both("Soak: calls that did not end", "soak.unended", "at most", 0, _count),
    _both("Soak: ends that a call may not have", "soak.unexpected", "at most", 0, _count),
    _both("Soak: wrong answers among those checked", "soak.wrong", "at most", 0, _count),
)  # fmt: skip


def claims(arms: Arms) -> list[dict[str, Any]]:
    """Hold every figure that was measured, and has a bar, to it."""
    found = []
    for aim in AIMS:
        for arm, figures in arms.items():
            measured, bar = aim.measured(figures), aim.bar(arm)
            if measured is not None and bar is not None:
                claim = {
                    "name": aim.name,
                    "arm": arm,
                    "scenario": aim.scenario,
                    "measured": measured,
                    "aim": f"{aim.kind} {aim.show(bar)}",
                    "disturbed": is_disturbed(figures[aim.scenario]),
                }
                found.append({**claim, "met": aim.is_met(arm, measured)})
    return found
