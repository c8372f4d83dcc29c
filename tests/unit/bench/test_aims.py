"""What figures are held to."""

import pytest

from tests.bench.serving.aims import AIMS, Aim, claims, is_disturbed


@pytest.mark.parametrize(
    ("kind", "measured", "met"),
    [("at least", 0.8, True), ("at least", 0.79, False), ("at most", 0.8, True), ("at most", 0.81, False)],
)
def test_a_bar_is_reached_or_missed(kind: str, measured: float, met: bool) -> None:
    """At the bar it is reached, in the direction of the aim."""
    aim = Aim("speed", "throughput.ratios.speed", kind, 0.8, None, str)  # type: ignore[arg-type]
    assert aim.is_met("fp32", measured) is met
    assert aim.is_met("int8", measured)  # which has no bar


def test_every_figure_with_a_bar_is_a_claim() -> None:
    """One that misses it is told so; what was not measured is no claim."""
    arms = {
        "fp32": {"heads": {"faults": 1, "ratios": {"mix_to_single": 0.95}}},
        "int8": {"heads": {"faults": 0}},
    }
    found = {(claim["name"], claim["arm"]): claim["met"] for claim in claims(arms)}
    assert sorted(found.values()) == [False, True, True]
    assert not found["50 frozen heads: answers that were wrong, not whole, or lost", "fp32"]


def test_a_disturbed_measurement_is_told_wherever_it_is() -> None:
    """Rounds apart: of these the quiet ones were chosen."""
    assert is_disturbed({"tagsmith": {"others_cores": 0.5}})
    quiet = {"tagsmith": {"others_cores": 0.05}}
    assert not is_disturbed({**quiet, "rounds": [{"tagsmith": {"others_cores": 0.5}}]})


def test_no_figure_has_two_bars() -> None:
    """An aim is a name for one figure."""
    assert len({aim.figure for aim in AIMS}) == len({aim.name for aim in AIMS}) == len(AIMS)
