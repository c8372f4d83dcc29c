"""A manifest agrees with itself, or it is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shared.store.evaluation import figure, signed_points
from shared.store.manifest import Manifest, Task
from tests.tiny import tiny_manifest


def _document(folder: Path, task: Task) -> dict[str, Any]:
    manifest, _ = tiny_manifest(folder, task)
    return manifest.model_dump(mode="json")


@pytest.mark.parametrize("task", ["classification", "entities"])
def test_a_manifest_is_read_as_it_was_written(task: Task, tmp_path: Path) -> None:
    """JSON there and back changes nothing."""
    manifest, _ = tiny_manifest(tmp_path, task)
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


FAULTS: dict[str, dict[str, Any]] = {
    "no decoding": {"decoding": {}},
    "no variant": {"variants": {}},
    "the same label twice": {"labels": ["a", "a"]},
    "no label": {"labels": []},
    "an encoder without a head": {"variants": {"fp32": {"graphs": {"encoder": None}}}},
    "a golden example of the other task": {"golden_examples": [{"text": "t", "label": "a"}]},
    "a golden example with no answer": {"golden_examples": [{"text": "t"}]},
    "a field that nobody knows": {"surprise": 1},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_manifest_that_contradicts_itself_is_refused(fault: str, tmp_path: Path) -> None:
    """Nothing that a server could only stumble over later can be written or read."""
    document = _document(tmp_path, "entities")
    change = FAULTS[fault]
    if fault == "an encoder without a head":
        (graph,) = document["variants"]["fp32"]["graphs"].values()
        change = {"variants": {"fp32": {"graphs": {"encoder": graph}}}}
    with pytest.raises(ValidationError):
        Manifest.model_validate({**document, **change})


def test_quality_checks_of_older_manifests_are_read(tmp_path: Path) -> None:
    """They had no unit, which follows from the name, and a huge figure where nothing had been measured; which bytes may well be."""
    old = [
        {"name": name, "passed": measured < 1e9, "measured": measured, "limit": 2.0, "detail": "so it was"}
        for name, measured in (
            ("metric", -5.0),
            ("champion", 1e9),
            ("labels", 0.0),
            ("slices", 1e9),
            ("calibration", 1e9),
            ("size", 1e9),
            ("latency", 7.5),
        )
    ]
    document = {**_document(tmp_path, "classification"), "quality_checks": old}
    manifest = Manifest.model_validate_json(json.dumps(document))
    assert [(each.name, each.measured, each.unit) for each in manifest.quality_checks] == [
        ("metric", -5.0, "points"),
        ("champion", None, "points"),
        ("labels", 0.0, "points"),
        ("slices", None, "points"),
        ("calibration", None, "share"),
        ("size", 1e9, "bytes"),
        ("latency", 7.5, "ms"),
    ]
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


def test_a_unit_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    """Nor is a gate read that no manifest ever had."""
    sound = {"name": "size", "passed": True, "measured": 1, "limit": 2, "unit": "bytes", "detail": ""}
    for change in ({"unit": "feet"}, {"name": "smell"}, {"name": "smell", "unit": "points"}):
        document = {**_document(tmp_path, "classification"), "quality_checks": [{**sound, **change}]}
        with pytest.raises(ValidationError):
            Manifest.model_validate(document)


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (1.23456, "points", "1.23 points"),
        (-5.0, "points", "-5 points"),
        (-0.0, "points", "0 points"),
        (-0.4, "bytes", "0 bytes"),
        (0.02, "share", "0.02"),
        (23172427, "bytes", "23,172,427 bytes"),
        (4.25, "ms", "4.25 ms"),
        (None, "ms", "not measured"),
    ],
)
def test_figures_are_written_with_their_unit(value: float | None, unit: str, written: str) -> None:
    """A share has none; bytes are whole."""
    assert figure(value, unit) == written


@pytest.mark.parametrize(
    ("difference", "written"), [(-0.0, "+0.00"), (-1e-5, "+0.00"), (-0.03, "-3.00"), (0.5, "+50.00")]
)
def test_a_difference_of_nought_is_not_negative(difference: float, written: str) -> None:
    """Whether it is none, or rounds to none."""
    assert signed_points(difference) == written
