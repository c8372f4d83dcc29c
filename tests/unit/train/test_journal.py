"""What a trainer's journal holds when the disk is full for a while."""

import os
import resource
from pathlib import Path

from services.train.events import EVENT, PhaseStarted, Progress
from services.train.trainer.journal import Journal

PROGRESS = Progress(
    step=1,
    total_steps=9,
    epoch=1,
    loss=0.5,
    metric_name="accuracy",
    metric=None,
    best_metric=None,
    remaining_ms=1,
    rows_per_second=1.0,
)


def test_progress_that_finds_no_room_is_left_out(tmp_path: Path) -> None:
    """A phase must be told, and raises; progress is dropped, and what comes after it has lines of its own, whatever was cut off."""
    path = tmp_path / "events.jsonl"
    child = os.fork()
    if child == 0:
        journal = Journal(path)
        journal.write(PROGRESS)
        unlimited = resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, unlimited))
        journal.write(PROGRESS)
        journal.write(PROGRESS)
        try:
            journal.write(PhaseStarted(phase="TRAINING"))
        except OSError:
            resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
            journal.write(PhaseStarted(phase="EVALUATING"))
        os._exit(0)
    os.waitpid(child, 0)
    whole, torn, last = path.read_bytes().splitlines()
    assert EVENT.validate_json(whole) == PROGRESS
    assert len(torn) == 20
    assert EVENT.validate_json(last) == PhaseStarted(phase="EVALUATING")
