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


def rows(title: str) -> list[tuple[str, ...]]:
    """Return the cells of every table row below the heading `title`, head rows and rules left out, code quotes kept."""
    lines = [line.strip() for line in section(title).splitlines()]
    tables = [line.strip("|").split("|") for line in lines if line.startswith("|")]
    cells = [tuple(cell.strip() for cell in row) for row in tables]
    heads = {index - 1 for index, row in enumerate(cells) if set(row[0]) <= set("-:")}
    return [row for index, row in enumerate(cells) if index not in heads and index - 1 not in heads]


def quoted(cell: str) -> str:
    """Return the text of a cell that is one code span; of any other cell, an empty string."""
    found = re.fullmatch(r"`([^`]+)`", cell)
    return found[1] if found else ""
