"""Pages and their tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.train.pages import MOST, PageRequest, page_of
from shared.errors import FieldInvalidError


def pages(items: list[int], size: int, *, descending: bool = False) -> list[list[int]]:
    """Every page of a list."""
    found, token = [], ""
    while True:
        request = PageRequest(size, token, of="numbers")
        page, token = page_of(items, request, key=int, default=50, descending=descending)
        found.append(page)
        if not token:
            return found


@given(items=st.sets(st.integers(-100, 100)), size=st.integers(1, 20), descending=st.booleans())
def test_pages_hold_every_item_once_and_in_order(items: set[int], size: int, *, descending: bool) -> None:
    """The pages put together are the list; all but the last are full, and none but an only one is empty."""
    ordered = sorted(items, reverse=descending)
    found = pages(ordered, size, descending=descending)
    assert [item for page in found for item in page] == ordered
    assert all(len(page) == size for page in found[:-1])
    assert found == [[]] or found[-1]


def test_items_that_come_and_go_hide_no_others() -> None:
    """A page begins after the last key of the page before, whether that item is still there or not."""
    first, token = page_of([10, 20, 30], PageRequest(2, "", of="n"), key=int, default=50)
    second, _ = page_of([5, 10, 25, 30], PageRequest(2, token, of="n"), key=int, default=50)
    assert (first, second) == ([10, 20], [25, 30])


def test_sizes_have_a_default_and_a_limit() -> None:
    """0 is the default, more than the limit is the limit, less than nothing is refused."""
    assert [PageRequest(size, "", of="").limit(50) for size in (0, 1, MOST + 1)] == [50, 1, MOST]
    with pytest.raises(FieldInvalidError):
        PageRequest(-1, "", of="").limit(50)


@pytest.mark.parametrize("token", ["?", "ä", "bm8=", "W10=", PageRequest(1, "", of="a").token_after("key")])
def test_foreign_tokens_are_refused(token: str) -> None:
    """What is no token, or another list's, or of another kind of key, is refused."""
    with pytest.raises(FieldInvalidError):
        PageRequest(1, token, of="b").after(str)
    with pytest.raises(FieldInvalidError):
        PageRequest(1, token, of="a").after(int)
