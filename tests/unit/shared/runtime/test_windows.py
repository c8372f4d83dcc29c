"""Windows: a long text in overlapping pieces."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runtime.windows import cut_windows, window_ranges

sizes = st.integers(1, 40).flatmap(
    lambda longest: st.tuples(st.just(longest), st.integers(0, longest - 1), st.integers(0, 300))
)


@given(sizes)
def test_windows_cover_every_token_and_share_the_stride(size: tuple[int, int, int]) -> None:
    """Windows begin at 0, end at the last token, are at most as long as allowed, and neighbours share exactly the stride."""
    longest, stride, count = size
    ranges = window_ranges(count, longest_tokens=longest, stride_tokens=stride)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == count
    assert all(end - start <= longest for start, end in ranges)
    assert all(left[1] - right[0] == stride for left, right in pairwise(ranges))
    assert all(left[1] < right[1] for left, right in pairwise(ranges))
    assert {t for start, end in ranges for t in range(start, end)} == set(range(count))


@given(st.integers(0, 200))
def test_windows_hold_their_tokens_between_the_special_ones(count: int) -> None:
    """A window is prefix, content, suffix, at most max_tokens long, and `content_row` finds the content in it."""
    content = np.arange(1000, 1000 + count)
    windows = cut_windows(content, prefix=(1, 2), suffix=(3,), pad_id=0, max_tokens=16, stride_tokens=4)
    for window in windows:
        assert window.token_count <= 16
        assert window.token_ids.dtype == np.int64
        assert window.token_ids[:2].tolist() == [1, 2]
        assert window.token_ids[-1] == 3
        rows = slice(window.content_row, window.content_row + window.content_count)
        assert window.token_ids[rows].tolist() == content[window.start : window.end].tolist()


def test_a_text_without_tokens_still_has_a_window() -> None:
    """No content and no special tokens give one token of padding, as no graph takes zero tokens."""
    (window,) = cut_windows(
        np.zeros(0, np.int64), prefix=(), suffix=(), pad_id=7, max_tokens=8, stride_tokens=2
    )
    assert (window.token_ids.tolist(), window.content_count) == ([7], 0)


@pytest.mark.parametrize("stride", [-1, 4, 5])
def test_a_stride_that_never_moves_forward_is_refused(stride: int) -> None:
    """Windows of 4 tokens that share 4 would never end."""
    with pytest.raises(ValueError, match="stride"):
        window_ranges(10, longest_tokens=4, stride_tokens=stride)
