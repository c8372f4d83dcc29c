"""The table of states."""

from itertools import pairwise, product

import pytest

from services.train.jobs.lifecycle import (
    FINAL,
    FOLLOWERS,
    PHASES,
    IllegalTransitionError,
    check_transition,
    state_after,
)
from shared.stubs.training.v1 import training_pb2 as pb


def test_the_table_has_the_states_of_the_contract() -> None:
    """The states are those of the proto, each once."""
    assert set(FOLLOWERS) == set(pb.TrainingJob.State.keys()) - {"STATE_UNSPECIFIED"}


def test_nothing_follows_an_end() -> None:
    """A final state has no follower, and every other state leads to every end that its trainer may bring."""
    assert {state for state, followers in FOLLOWERS.items() if not followers} == FINAL
    assert all(FOLLOWERS[phase] >= FINAL | {"QUEUED"} for phase in PHASES)


def test_a_job_that_waits_is_claimed_or_cancelled() -> None:
    """A job cannot fail or succeed before its turn came."""
    assert FOLLOWERS["QUEUED"] == {"PREPARING", "CANCELLED"}


@pytest.mark.parametrize(("before", "after"), list(product(PHASES, PHASES)))
def test_phases_only_move_forward(before: str, after: str) -> None:
    """Of two phases the later may follow the earlier, never the reverse; hearing an earlier one again changes nothing."""
    forward = PHASES.index(after) > PHASES.index(before)  # type: ignore[arg-type]
    assert (after in FOLLOWERS[before]) is forward  # type: ignore[index]
    assert state_after(before, after) == (after if forward else before)  # type: ignore[arg-type]


def test_every_phase_leads_to_the_next() -> None:
    """The ordinary path exists."""
    for before, after in pairwise(("QUEUED", *PHASES, "SUCCEEDED")):
        assert check_transition(before, after) == after  # type: ignore[arg-type]


def test_what_the_table_lacks_is_refused() -> None:
    """A transition that the table lacks raises."""
    with pytest.raises(IllegalTransitionError, match="TRAINING cannot follow SUCCEEDED"):
        check_transition("SUCCEEDED", "TRAINING")


def test_an_end_is_not_left_for_a_late_word() -> None:
    """A phase that is heard after the end leaves the end."""
    assert state_after("CANCELLED", "PUBLISHING") == "CANCELLED"
