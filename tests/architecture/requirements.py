"""What an installation with given extras consists of, from pyproject.toml and the metadata of what is installed."""

import tomllib
from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source_tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def installed_by(extras: tuple[str, ...]) -> set[str]:
    """Return the distributions that an installation with these extras brings, dependencies of dependencies included."""
    lines = [
        *PROJECT["dependencies"],
        *(line for extra in extras for line in PROJECT["optional-dependencies"][extra]),
    ]
    waiting = [(Requirement(line), "") for line in lines]
    found: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": extra})
        if not applies or key in seen:
            continue
        seen.add(key)
        found.add(key[0])
        nested = [Requirement(line) for line in requires(requirement.name) or []]
        waiting += [(each, wanted) for each in nested for wanted in (*requirement.extras, "")]
    return found
