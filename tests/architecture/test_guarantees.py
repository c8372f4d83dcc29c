"""Each guarantee that Tagsmith prints has a test of its name."""

import ast

import pytest

from tests.architecture.source_tree import read, written_modules

PROVED = ("G1", "G2", "G3", "G4", "G5", "G7", "G8", "G9", "G10", "G11", "G12", "G13")


def functions_of_tests() -> list[str]:
    """Return the names of all test functions and methods."""
    return [
        node.name
        for path in written_modules()
        if path.parts[0] == "tests"
        for node in ast.walk(ast.parse(read(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    ]


@pytest.mark.parametrize("guarantee", PROVED)
def test_every_guarantee_has_a_test(guarantee: str) -> None:
    """A test named after the guarantee proves it."""
    assert any(f"test_{guarantee.lower()}_" in name for name in functions_of_tests())
