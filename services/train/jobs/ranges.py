"""How a field that is out of its range is told: in our words, which name the bound, and not in those of the library that found it. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from shared.errors import Problem

_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {  # by the library's name of a fault
    "greater_than": lambda bound: f"is not over {bound['gt']:g}",
    "greater_than_equal": lambda bound: f"is less than {bound['ge']:g}, the least",
    "less_than": lambda bound: f"is not less than {bound['lt']:g}",
    "less_than_equal": lambda bound: f"is over {bound['le']:g}, the most",
    "finite_number": lambda _: "is no finite number",
    "literal_error": lambda known: f"is none of {known['expected']}",
}


def range_problems(field: str, error: ValidationError) -> Iterator[Problem]:
    """Yield a problem for each fault of `error`, a record that stands in `field` of the spec; no value is quoted."""
    for each in error.errors(include_input=False):
        told = _WORDS.get(each["type"])
        yield Problem(
            ".".join((field, *map(str, each["loc"]))), told(each.get("ctx", {})) if told else each["msg"]
        )
