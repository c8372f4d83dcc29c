"""Where findings place rows that are replayed."""

from pathlib import Path

from services.train.trainer.parent import _from
from shared.data.rows import Row
from tests.tiny import tiny_manifest


def test_a_replayed_row_s_place_names_its_dataset_shortly(tmp_path: Path) -> None:
    """A finding names twenty places: with whole digests nobody would read them."""
    manifest, _ = tiny_manifest(tmp_path, "classification")
    digest = "0123456789abcdef" * 4
    lineage = manifest.lineage.model_copy(update={"dataset": f"support@sha256:{digest}"})
    row = Row("text", label="a", where="train:17")
    found = _from(manifest.model_copy(update={"lineage": lineage}), row)
    assert found.where == "support@sha256:0123456789ab:train:17"
