"""What of a job's folder outlives a stop of its service."""

from pathlib import Path

from services.train.jobs.attendant import clear
from services.train.spec import SCRATCH, SEARCH_JOURNAL


def test_only_what_attempts_leave_each_other_is_kept(tmp_path: Path) -> None:
    """Events, logs and scratch of the try before are gone, so that the next one is read from its own first word."""
    kept = tmp_path / "kept"
    kept.mkdir()
    for path in (
        tmp_path / "spec.json",
        tmp_path / "events.jsonl",
        tmp_path / "trainer.log",
        kept / SEARCH_JOURNAL,
    ):
        path.write_text("before")
    (tmp_path / SCRATCH / "deep").mkdir(parents=True)
    (tmp_path / SCRATCH / "deep" / "model.onnx").touch()
    clear(tmp_path)
    assert list(tmp_path.iterdir()) == [kept]
    assert (kept / SEARCH_JOURNAL).read_text() == "before"
