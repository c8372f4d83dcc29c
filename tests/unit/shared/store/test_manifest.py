"""A manifest agrees with itself, or it is none."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

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
