"""The README's tables, for the tests that hold it to the code."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def section(title: str) -> str:
    """Return the text below the heading `title`, to the next heading of its level or above. Raises LookupError."""
    lines = README.read_text(encoding="utf-8").splitlines()
    level = 0
    taken: list[str] = []
    for line in lines:
        heading = re.match(r"(#+) +(.*?) *$", line)
        if heading and level and len(heading[1]) <= level:
            break
        if level:
            taken.append(line)
        elif heading and heading[2] == title:
            level = len(heading[1])
    if not level:
        raise LookupError(f"README.md has no heading {title!r}")
    return "\n".join(taken)


def first_cells(title: str) -> list[str]:
    """Return the code-quoted first cell of every table row below the heading `title`."""
    return re.findall(r"^\| *`([^`]+)`", section(title), flags=re.MULTILINE)
