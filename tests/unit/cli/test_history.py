"""Where a rollback goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cli.history import version_before


@pytest.mark.parametrize(
    ("moves", "before"),
    [
        ([], None),
        ([1], None),
        ([1, 2], 1),
        ([1, 2, 3], 2),
        ([1, 2, 3, 2], 1),  # rolled back once
        ([1, 2, 3, 2, 1], None),  # rolled back twice
        ([1, 2, 3, 2, 4], 2),  # and went on
        ([1, 2, 3, 1], 3),  # promoted an old version on purpose
    ],
)
def test_the_version_before_is_read_from_the_moves(moves, before):
    """A rollback goes to the version before, and a second one never to the version that was just left."""
    assert version_before(moves) == before


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12))
def test_rolling_back_again_and_again_ends(moves):
    """Rolling back never goes in circles: each time the way back is shorter, until there is none."""
    for _ in range(len(moves)):
        before = version_before(moves)
        if before is None:
            break
        assert before != moves[-1]
        moves = [*moves, before]
    assert version_before(moves) is None
