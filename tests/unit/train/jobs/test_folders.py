"""What of a job's folder outlives a stop of its service."""

from pathlib import Path

from services.train.jobs.attendant import clear
from services.train.spec import SCRATCH, SEARCH_JOURNAL


def test_only_what_a_search_knows_is_kept(tmp_path: Path) -> None:
    """Events, logs and scratch of the try before are gone, so that the next one is read from its own first word."""
    for name in ("spec.json", "events.jsonl", "trainer.log", SEARCH_JOURNAL):
        (tmp_path / name).write_text("before")
    (tmp_path / SCRATCH / "deep").mkdir(parents=True)
    (tmp_path / SCRATCH / "deep" / "model.onnx").touch()
    clear(tmp_path)
    assert [left.name for left in tmp_path.iterdir()] == [SEARCH_JOURNAL]
    assert (tmp_path / SEARCH_JOURNAL).read_text() == "before"
