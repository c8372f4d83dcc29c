"""Lists come in pages; commands want all of it, and to know what could not be read."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from services.cli.session import Session

PAGE_SIZE = 500


def all_pages(
    session: Session, rpc: Callable[..., Any], request: Any, *, at_most: int | None = None
) -> Iterator[Any]:
    """Yield the answer of a list RPC page by page; `request` is changed on the way. `at_most`: items wanted of it, if fewer."""
    request.page_size = PAGE_SIZE if at_most is None else min(at_most, PAGE_SIZE)
    while True:
        page = session.call(rpc, request)
        yield page
        if at_most is not None or not page.next_page_token:
            return
        request.page_token = page.next_page_token


def tell_damage(session: Session, listed: Sequence[Any]) -> None:
    """Tell people of everything in a list that stands for a damaged record."""
    for each in listed:
        if each.HasField("error"):
            session.tell(f"{each.name}: {each.error.message}")
