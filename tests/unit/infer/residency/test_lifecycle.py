"""The table of a resident version's life."""

from itertools import product

import pytest

from services.infer.residency.lifecycle import Event, State, may_be_forgotten, next_state, retry_delay_s

_ALLOWED = {
    ("QUEUED", "BEGUN"): "LOADING",
    ("LOADING", "LOADED"): "ACTIVE",
    ("LOADING", "LOAD_FAILED"): "FAILED",
    ("FAILED", "RETRIED"): "QUEUED",
    ("ACTIVE", "UNWANTED"): "DRAINING",
    ("DRAINING", "WANTED"): "ACTIVE",
}


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_the_table_allows_these_steps_and_no_others(state: State, event: Event) -> None:
    """Every pair of state and event either has its next state or is a bug that says so."""
    expected = _ALLOWED.get((state.name, event.name))
    if expected:
        assert next_state(state, event).name == expected
    else:
        with pytest.raises(ValueError, match=f"{event.name}.*{state.name}"):
            next_state(state, event)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("pins", [0, 1])
def test_a_version_leaves_memory_only_when_nobody_needs_it(state: State, wanted: bool, pins: int) -> None:
    """Neither wanted nor pinned, and neither loading nor answering."""
    leaves = not wanted and not pins and state.name in ("QUEUED", "DRAINING", "FAILED")
    assert may_be_forgotten(state, wanted=wanted, pins=pins) is leaves


def test_retries_back_off_and_never_stop() -> None:
    """2 s, 4 s, 8 s ... and 5 minutes for ever after."""
    assert [retry_delay_s(failures) for failures in (1, 2, 3, 8, 9, 10_000)] == [2, 4, 8, 256, 300, 300]
