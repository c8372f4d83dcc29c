"""Which way to run a version is the fastest."""

from pathlib import Path

from services.infer.residency.speed import CELLS, faster, run_ms
from shared.runtime.execution import OPENVINO, Execution
from shared.runtime.model import Model
from tests.tiny import tiny_manifest

FP32, INT8, BF16 = Execution("fp32"), Execution("int8"), Execution("bf16", OPENVINO)


def test_every_cell_counts_the_same() -> None:
    """Twice as fast with a short text is as much as twice as fast with a hundred long ones."""
    assert faster({FP32: [4, 400], INT8: [1, 300], BF16: [3, 150]}, FP32) == [INT8, BF16]
    assert faster({FP32: [4, 400], INT8: [8, 100], BF16: [8, 300]}, FP32) == [INT8]
    assert faster({FP32: [4, 400]}, FP32) == []


def test_a_model_is_timed_in_each_cell(tmp_path: Path) -> None:
    """Also in those that are longer than its window."""
    manifest, files = tiny_manifest(tmp_path, "entities")
    model = Model.load(manifest, lambda file: files[file.digest])
    taken = run_ms(model, [*CELLS, (1, 1_000)])
    assert len(taken) == len(CELLS) + 1
    assert min(taken) > 0
