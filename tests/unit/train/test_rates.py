"""Rates over a training."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.train.spec import Schedule
from services.train.trainer.rates import factor, first_steps, layer_rates

SCHEDULES: list[Schedule] = ["linear", "cosine", "slanted-triangular"]


def rates(schedule: Schedule, total: int, *, begin: int = 0, warmup_share: float = 0.4) -> list[float]:
    """All factors of a training, and the one after its last step."""
    return [
        factor(schedule, step, begin=begin, total=total, warmup_share=warmup_share)
        for step in range(total + 1)
    ]


def test_linear_is_a_line_up_and_a_line_down() -> None:
    """Over ten steps with a warm-up of four."""
    told = rates("linear", 10)
    assert told == pytest.approx([0, 0.25, 0.5, 0.75, 1, 5 / 6, 4 / 6, 0.5, 2 / 6, 1 / 6, 0])


def test_cosine_falls_along_half_a_wave() -> None:
    """Half-way down it is half the peak; it leaves the peak more slowly than a line."""
    told = rates("cosine", 10)
    assert told[:5] == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert told[7] == pytest.approx(0.5)
    assert told[5] > 5 / 6


def test_slanted_triangles_never_come_to_nothing() -> None:
    """They rise from a 32nd of the peak, and fall back to it (equation 3 of ULMFiT)."""
    told = rates("slanted-triangular", 10)
    assert (told[0], told[4], told[10]) == pytest.approx((1 / 32, 1, 1 / 32))


@given(
    schedule=st.sampled_from(SCHEDULES),
    total=st.integers(1, 500),
    share=st.floats(0, 0.99),
    warmup_share=st.floats(0, 0.99),
)
def test_a_group_that_begins_late_has_the_whole_of_its_schedule(
    schedule: Schedule, total: int, share: float, warmup_share: float
) -> None:
    """Nothing before its beginning, then what a training of the remaining length would have; never over the peak."""
    begin = int(share * total)
    told = rates(schedule, total, begin=begin, warmup_share=warmup_share)
    assert told[:begin] == [0.0] * begin
    assert told[begin:] == rates(schedule, total - begin, warmup_share=warmup_share)
    assert all(0 <= each <= 1 for each in told)
    if begin < total:
        assert max(told) == pytest.approx(1) or schedule != "linear" or warmup_share > 0


def test_layers_begin_one_after_the_other() -> None:
    """Evenly over the share; the last one when it is over, all at once where there is none."""
    assert first_steps(4, unfreezing_share=0.5, total=80) == [10, 20, 30, 40]
    assert first_steps(3, unfreezing_share=0.0, total=80) == [0, 0, 0]


def test_lower_layers_learn_more_slowly() -> None:
    """The top layer at the peak, each one below at a share of it, the embeddings last."""
    assert layer_rates(1.0, layers=2, decay=0.5) == [0.25, 0.5, 1.0]
