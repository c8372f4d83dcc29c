"""What counts as a reason for a move of an alias. Pure."""

from typing import Final

MOST_REASON_CHARACTERS: Final = 1024
BLANK_REASON: Final = "has no visible characters: say why, or leave it out"


def is_blank(reason: str) -> bool:
    """Tell whether a reason is given and says nothing: the history would keep it, and a gate be overridden without one."""
    return bool(reason) and not any(each.isprintable() and not each.isspace() for each in reason)
