"""Measuring: once for graphs of one kind on one machine, and never the reason that nothing is served."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.infer.cost import CostGrid
from services.infer.residency import measuring
from services.infer.residency.measuring import Measuring
from shared.runtime.classification import Logits
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.runtime.windows import Window
from tests.tiny import tiny_manifest

BATCH_TOKENS = 128


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The windows and their length of every run since."""
    ran: list[tuple[int, int]] = []
    run = Model.run

    def watched(model: Model, windows: Sequence[Window]) -> list[Logits]:
        (tokens,) = {window.token_count for window in windows}
        ran.append((len(windows), tokens))
        return run(model, windows)

    monkeypatch.setattr(Model, "run", watched)
    return ran


MANY_LABELS = tuple(f"label-{number}" for number in range(3000))


def _model(
    folder: Path, *, seed: int = 0, threads: int = 1, max_tokens: int = 64, labels: tuple[str, ...] = ()
) -> Model:
    manifest, paths = tiny_manifest(folder, "classification", labels, seed=seed, max_tokens=max_tokens)
    return Model.load(manifest, Parts(lambda file: paths[file.digest]), Execution(threads=threads))


def _measured(
    folder: Path, model: Model, *, batch_tokens: int = BATCH_TOKENS, runs_at_once: int = 1
) -> CostGrid:
    return Measuring(folder, runs_at_once, batch_tokens).costs(model)


def _file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


@pytest.mark.parametrize("runs_at_once", [1, 3])
def test_a_kind_is_measured_once(tmp_path: Path, runs: list[tuple[int, int]], runs_at_once: int) -> None:
    """A second version of the same shape, in this process or after a restart, takes the costs of the first without a run."""
    first, second = _model(tmp_path / "first"), _model(tmp_path / "second", seed=1)
    runs.clear()
    known = _measured(tmp_path / "costs", first, runs_at_once=runs_at_once)
    assert len(runs) >= 2 * runs_at_once * len(known.cells)  # the first run of a size does not count
    runs.clear()
    assert _measured(tmp_path / "costs", second, runs_at_once=runs_at_once).cells == known.cells
    assert runs == []


def test_what_the_costs_depend_on_is_measured_apart(
    tmp_path: Path, runs: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other threads a run, other runs at once, other batches, longer windows, a larger graph, another processor."""
    model, costs = _model(tmp_path / "model"), tmp_path / "costs"
    others = (
        lambda: _measured(costs, _model(tmp_path / "model", threads=2)),
        lambda: _measured(costs, model, runs_at_once=2),
        lambda: _measured(costs, model, batch_tokens=64),
        lambda: _measured(costs, _model(tmp_path / "longer", max_tokens=100)),
        lambda: _measured(costs, _model(tmp_path / "larger", labels=MANY_LABELS)),
        lambda: _measured(costs, model),
    )
    _measured(costs, model)
    for number, measure in enumerate(others, start=2):
        if number == len(others) + 1:
            monkeypatch.setattr(measuring, "processor_name", lambda: "another processor")
        runs.clear()
        measure()
        assert len(runs) > 10
        assert len(list(costs.iterdir())) == number


def test_cells_are_what_may_be_asked_for(tmp_path: Path, runs: list[tuple[int, int]]) -> None:
    """Lengths up to the longest window, single windows of each, and no batch above the budget: nothing else was ever run."""
    model = _model(tmp_path / "model", max_tokens=100)
    runs.clear()
    sizes = {(cell.windows, cell.tokens) for cell in _measured(tmp_path / "costs", model).cells}
    assert sizes == set(runs)
    assert {tokens for count, tokens in sizes if count == 1} == {8, 16, 32, 64, 100}
    assert max(count * tokens for count, tokens in sizes if count > 1) == BATCH_TOKENS
    assert {count for count, tokens in sizes if tokens == 8} == {1, 2, 4, 8, 16}
    assert {count for count, tokens in sizes if tokens == 100} == {1}


def test_windows_shorter_than_any_cell_have_a_cost(tmp_path: Path) -> None:
    """Of a model whose longest window is shorter than the usual lengths that one length is measured."""
    grid = _measured(tmp_path / "costs", _model(tmp_path / "model", max_tokens=20, seed=2))
    assert {cell.tokens for cell in grid.cells} == {8, 16, 20}
    assert 0 < grid.run_ms(1, 1) <= grid.run_ms(1, 20)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"not json",
        b"[]",
        b"7",
        b"null",
        b'{"a": 1}',
        b"[[1, 8]]",
        b"[[1, 8, 1.0, 4]]",
        b"[[1, 8, 0.0]]",
        b"[[1, 8, -1.0]]",
        b'[[1, 8, "fast"]]',
        b"[[1, 8, null]]",
        b"[[1, 8, NaN]]",
        b"\xff\xfe",
    ],
)
def test_a_damaged_file_is_measured_anew(tmp_path: Path, runs: list[tuple[int, int]], damaged: bytes) -> None:
    """And put right, whatever is in it."""
    model, costs = _model(tmp_path / "model"), tmp_path / "costs"
    cells = len(_measured(costs, model).cells)
    path = _file(costs)
    path.write_bytes(damaged)
    runs.clear()
    assert len(_measured(costs, model).cells) == cells
    assert len(runs) > cells
    assert len(json.loads(_file(costs).read_text())) == cells


def test_a_folder_that_cannot_be_written_is_only_a_warning(
    tmp_path: Path, runs: list[tuple[int, int]]
) -> None:
    """The costs are known all the same, and measured again at the next start; the log says why, not what was asked."""
    model, costs = _model(tmp_path / "model"), tmp_path / "costs"
    costs.write_text("a file where the folder should be")
    for _ in range(2):
        runs.clear()
        with capture_logs() as logs:
            assert len(_measured(costs, model).cells) > 10
        assert len(runs) > 10
        warnings = [each for each in logs if each["log_level"] == "warning"]
        assert [each["event"] for each in warnings] == ["costs_not_kept"]
        assert warnings[0]["cause"]


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    """The folder holds the file and nothing else, and the log tells how many cells and how long."""
    with capture_logs() as logs:
        grid = _measured(tmp_path / "deep" / "costs", _model(tmp_path / "model"))
    assert _file(tmp_path / "deep" / "costs").suffix == ".json"
    (told,) = [each for each in logs if each["event"] == "costs_measured"]
    assert told["cells"] == len(grid.cells)
    assert told["seconds"] >= 0
