"""Lanes: one for each trunk in memory, gone with it."""

import gc
import weakref
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from services.infer.cost import Cell, CostGrid
from services.infer.residency.lanes import Lanes
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from tests.tiny import tiny_manifest

GRID = CostGrid([Cell(1, 8, 1.0)])


def _heads(folder: Path, *labels: tuple[str, ...], seed: int = 0) -> list[Model]:
    paths: dict[str, Path] = {}
    parts = Parts(lambda file: paths[file.digest])
    models = []
    for number, of_head in enumerate(labels):
        manifest, more = tiny_manifest(
            folder / str(number), "classification", of_head, seed=seed, frozen=True
        )
        paths |= more
        models.append(Model.load(manifest, parts))
    return models


def _reader(model: Model) -> Any:
    return SimpleNamespace(model=model)


def test_models_of_one_trunk_have_one_lane_that_is_measured_once(tmp_path: Path) -> None:
    """And those of another trunk, though its file is the same, another one."""
    measured: list[Model] = []
    lanes = Lanes(lambda model: measured.append(model) or GRID)  # type: ignore[func-returns-value]
    one, two = _heads(tmp_path, ("a", "b"), ("x", "y", "z"))
    (other,) = _heads(tmp_path / "other", ("a", "b"))
    assert lanes.lane(one) is lanes.lane(two) is lanes.lane(one)
    assert lanes.lane(other) is not lanes.lane(one)
    assert measured == [one, other]
    assert lanes.lane(one).cost is GRID


def test_a_lane_runs_windows_for_the_versions_that_read_them(tmp_path: Path) -> None:
    """One batch for different heads, and several heads for one window: each gets what its model computes alone."""
    one, two = _heads(tmp_path, ("a", "b"), ("x", "y", "z"))
    lane = Lanes(lambda _: GRID).lane(one)
    short, long = (text.windows[0] for text in one.encode(["my card", "where is my parcel and my refund"]))
    batch = lane.begin(
        [(short, [_reader(two)]), (long, [_reader(one), _reader(two)]), (short, [_reader(one)])]
    )
    batch.compute()
    computed = batch.results()
    expected = [(two, short), (one, long), (two, long), (one, short)]
    found = [logits for of_window in computed for logits in of_window]
    for (model, window), logits in zip(expected, found, strict=True):
        np.testing.assert_allclose(logits, model.run([window])[0], atol=1e-5)
    assert [len(of_window) for of_window in computed] == [1, 2, 1]


def test_a_lane_goes_with_the_last_model_on_its_trunk(tmp_path: Path) -> None:
    """Nothing of a trunk that is gone stays behind."""
    lanes = Lanes(lambda _: GRID)
    one, two = _heads(tmp_path, ("a", "b"), ("x", "y", "z"))
    lane = weakref.ref(lanes.lane(one))
    one.close()
    gc.collect()
    assert lanes.lane(two) is lane()
    two.close()
    gc.collect()
    assert lane() is None
