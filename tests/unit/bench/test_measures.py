"""Figures of the serving benchmark that could be wrong in silence."""

import math

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from tests.bench.serving.measures import faults, medians, percentile, settled, spread_ms
from tests.bench.serving.refusals import p99_below_ms, refusal_buckets
from tests.bench.serving.soak import growth_bytes_per_hour


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1), (1, 1), (50, 50), (50.1, 51), (99, 99), (99.9, 100), (100, 100)]
)
def test_a_percentile_is_the_nearest_rank(percent: float, expected: int) -> None:
    """Of 1 to 100, p is p."""
    assert percentile(range(1, 101), percent) == expected


def test_a_percentile_of_few_is_one_of_them() -> None:
    """Nothing is made up between values; of none there is none."""
    assert percentile([1.0, 9.0], 50) == 1.0
    assert percentile([1.0, 9.0], 51) == 9.0
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_spreads_are_in_milliseconds_whatever_the_order() -> None:
    """Durations come in seconds, as they were measured."""
    spread = spread_ms([0.003, 0.001, 0.002])
    assert (spread["p50"], spread["max"], spread["mean"], spread["count"]) == (2.0, 3.0, 2.0, 3)
    assert spread_ms([]) == {}


def test_medians_are_taken_figure_by_figure() -> None:
    """Within tables too; what some round lacks, or what is no number, has none."""
    rounds = [
        {"a": 1, "t": {"b": 9.0}, "x": "word"},
        {"a": 3, "t": {"b": 1.0}, "y": 1},
        {"a": 2, "t": {"b": 2.0}},
    ]
    assert medians(rounds) == {"a": 2, "t": {"b": 2.0}}


def test_disturbed_rounds_do_not_count() -> None:
    """Each measurement has its own quiet rounds; of one without any, the least disturbed counts."""
    quiet, loud, louder = 0.05, 0.5, 0.9
    rounds = [
        {"a": {"speed": 1.0, "others_cores": quiet}, "t": {"b": {"speed": 7.0, "others_cores": loud}}},
        {"a": {"speed": 3.0, "others_cores": quiet}, "t": {"b": {"speed": 1.0, "others_cores": louder}}},
        {"a": {"speed": 9.0, "others_cores": loud}, "t": {"b": {"speed": 2.0, "others_cores": louder}}},
    ]
    figures = settled(rounds, quiet_cores=0.1)
    assert (figures["a"]["speed"], figures["t"]["b"]["speed"]) == (2.0, 7.0)


def test_refusals_are_those_between_two_looks() -> None:
    """Only refused calls count, and of them only the new ones; a server that does not tell codes apart gives none."""
    registry = CollectorRegistry()
    labels = ["method", "code"]
    histogram = Histogram(
        "tagsmith_rpc_seconds", "x", labels, buckets=(0.001, 0.005, 0.01), registry=registry
    )

    def look() -> dict[float, float]:
        return refusal_buckets(generate_latest(registry).decode())

    refused = histogram.labels("Classify", "RESOURCE_EXHAUSTED")
    refused.observe(0.9)
    before = look()
    assert p99_below_ms(before, before) is None
    histogram.labels("Classify", "OK").observe(0.9)
    for _ in range(99):
        refused.observe(0.002)
    refused.observe(0.9)
    assert p99_below_ms(before, look()) == 5.0
    refused.observe(0.9)
    assert p99_below_ms(before, look()) == math.inf
    assert refusal_buckets('tagsmith_rpc_seconds_bucket{method="Classify",le="+Inf"} 3.0\n') == {}


def test_growth_is_the_slope_after_settling() -> None:
    """The first quarter, where caches fill, does not count."""
    looks = [
        (float(second), 10**6 + 10 * second + (0 if second >= 100 else 10**9), frozenset({"a@1"}))
        for second in range(0, 401, 5)
    ]
    assert growth_bytes_per_hour(looks) == pytest.approx(36_000)


def test_a_version_that_comes_and_goes_is_no_growth() -> None:
    """More promotions towards the end make no slope; what grows beside them does."""
    busy = {second for second in range(0, 401, 5) if second % 40 < second / 20}
    looks = [
        (
            float(second),
            10**6 + 10 * second + (10**8 if second in busy else 0),
            frozenset({"a@1", "a@2"} if second in busy else {"a@1"}),
        )
        for second in range(0, 401, 5)
    ]
    assert growth_bytes_per_hour(looks) == pytest.approx(36_000)


def test_faults_of_all_tables_count_and_those_of_other_servers_do_not() -> None:
    """However deep a table lies, rounds too; what the naive server loses is its own."""
    figures = {
        "tagsmith": {"lost": 2, "latency_ms": {"OK": {"p50": 1.0}}, "burst": {"malformed": 1}},
        "naive_fp32": {"lost": 50},
        "echo_alone": {"malformed": 9000},
        "rounds": [{"single": {"answered_otherwise": 3}}, {"single": {"answered_otherwise": 0}}],
        "of_another_version": 4,
        "texts_per_s": 700.0,
    }
    assert faults(figures) == 10
    assert faults({"tagsmith": {"lost": 0}, "naive": {"lost": 1}}) == 0
