"""What a file of runs keeps, and what it counts as not measured."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import runs
from tests.bench.runs import RunFile


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFile:
    """One run of one of two arms, on rows whose digest is `rows`."""
    monkeypatch.setattr(runs, "rows_digest", lambda _: "rows")
    made = RunFile(tmp_path / "runs.json", "banking77", "10-shot", {"a": {"steps": (1, 2)}, "b": {}})
    made.add("a", 1, {"test": 0.5})
    return made


def test_a_run_is_measured_once(file: RunFile) -> None:
    """Another seed and another arm still lack theirs; what was measured stays when they come."""
    assert (file.lacks("a", 1), file.lacks("a", 2), file.lacks("b", 1)) == (False, True, True)
    file.add("b", 1, {"test": 0.25})
    assert {arm: run["1"]["test"] for arm, run in file.arms().items()} == {"a": 0.5, "b": 0.25}


def test_a_run_of_another_recipe_is_not_told(file: RunFile) -> None:
    """It would stand beside runs that it does not compare with."""
    changed = replace(file, recipes={"a": {"steps": (1, 3)}, "b": {}})
    assert changed.arms() == {}
    assert changed.lacks("a", 1)


def test_other_rows_make_all_runs_old(file: RunFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run begins a new file; until then the old figures stand."""
    monkeypatch.setattr(runs, "rows_digest", lambda _: "others")
    assert file.lacks("a", 1)
    assert set(file.arms()) == {"a"}
    file.add("b", 1, {"test": 0.25})
    assert set(file.arms()) == {"b"}
