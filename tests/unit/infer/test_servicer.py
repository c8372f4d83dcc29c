"""What of a caller's deadline is the server's."""

import math
import time
from types import SimpleNamespace
from typing import Any

import pytest

from services.infer.servicer import _deadline_s, _end_s


def _context(remaining_s: float | None) -> Any:
    return SimpleNamespace(time_remaining=lambda: remaining_s)


@pytest.mark.parametrize(("remaining_s", "own_s"), [(0.1, 0.095), (0.4, 0.38), (10.0, 9.98)])
def test_a_part_of_the_time_is_kept_for_the_way_back(remaining_s: float, own_s: float) -> None:
    """A twentieth, 20 ms at the most: an answer that leaves at the deadline comes too late. A stream's end is its own."""
    now_s = time.monotonic()
    assert _deadline_s(_context(remaining_s)) - now_s == pytest.approx(own_s, abs=0.002)
    assert _end_s(_context(remaining_s)) - now_s == pytest.approx(remaining_s, abs=0.002)


def test_a_caller_without_a_deadline_waits_for_ever() -> None:
    """It is no number of seconds."""
    assert _deadline_s(_context(None)) == _end_s(_context(None)) == math.inf
