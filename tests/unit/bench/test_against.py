"""The table of the contest, from made results."""

from tests.bench.against.results import lines


def _run(test: float, seconds: float) -> dict[str, float | int]:
    return {"test": test, "train_rows": 770, "steps": 100, "seconds": seconds, "cpu_seconds": 2 * seconds}


def test_draws_are_told_by_mean_and_range_and_what_is_not_measured_is_left_out() -> None:
    """One line an arm that has runs."""
    arms = {"tagsmith": {"1": _run(0.80, 10), "2": _run(0.90, 20)}, "setfit": {"1": _run(0.70, 1000)}}
    _, _, *rows = lines({"10-shot": arms})
    assert rows == [
        "| 10-shot, 770 | Tagsmith | **85.0** | 80.0–90.0, 2 draws | 100 | 15 | 30 |",
        "| 10-shot, 770 | SetFit, 40 pairs a row, at most 2,400 steps | **70.0** | one run | 100 | 1,000 | 2,000 |",
    ]
