"""Pages of lists: sizes, and tokens that say where the next page begins.

A token carries the key of the last item of its page and the list it belongs to. Items that come or go between two pages neither
repeat nor hide others. Pure.
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from shared.errors import FieldInvalidError

ItemT = TypeVar("ItemT")
KeyT = TypeVar("KeyT", str, int)

MOST = 1000
_MOST_KEY = 2**31 - 1  # of a job's sequence, as every database counts it


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The paging fields of a list request."""

    size: int  # as sent: 0 for the default
    token: str  # as sent: empty for the first page
    of: str  # which list, such as `jobs of banking`; a token of another list is refused

    def limit(self, default: int) -> int:
        """Return how many items to give, 1 to MOST. Raises FieldInvalidError for a negative size."""
        if self.size < 0:
            raise FieldInvalidError("page_size is negative.", field="page_size", value=self.size)
        return min(self.size, MOST) or default

    def after(self, kind: type[KeyT]) -> KeyT | None:
        """Return the key that the page begins after, None for the first page. Raises FieldInvalidError."""
        if not self.token:
            return None
        try:
            of, key = json.loads(base64.urlsafe_b64decode(self.token.encode("ascii")))
        except (binascii.Error, ValueError, TypeError):
            of, key = "", None
        if of != self.of or type(key) is not kind or (isinstance(key, int) and abs(key) > _MOST_KEY):
            raise FieldInvalidError(
                "page_token is not one that this list gave.", field="page_token", value=self.token[:80]
            )
        return key

    def token_after(self, key: str | int) -> str:
        """Return the token of the page that begins after `key`."""
        return base64.urlsafe_b64encode(json.dumps([self.of, key]).encode()).decode("ascii")


def page_of(
    items: Iterable[ItemT],
    request: PageRequest,
    *,
    key: Callable[[ItemT], KeyT],
    default: int,
    descending: bool = False,
) -> tuple[list[ItemT], str]:
    """Cut one page out of all items, which are sorted by `key`, and return it with the token of the next, empty at the end."""
    limit = request.limit(default)
    items = list(items)
    if request.token and items:
        after = request.after(type(key(items[0])))
        items = [
            item
            for item in items
            if after is None or (key(item) < after if descending else key(item) > after)
        ]
    page = list(islice(items, limit))
    return page, request.token_after(key(page[-1])) if len(items) > limit else ""
