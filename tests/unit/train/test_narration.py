"""What a trainer's log says of its events."""

import pytest

from services.train.events import Failed, Failure, Finished, PhaseStarted, Progress, Resumed, Stopped
from services.train.trainer.narration import line_of

STEP = Progress(
    step=20, total_steps=100, epoch=2, loss=0.5, metric_name="accuracy", metric=0.75, best_metric=0.8,
    evaluated=True, interval_loss=0.25, remaining_ms=1, rows_per_second=12.6,
)  # fmt: skip


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (PhaseStarted(phase="TRAINING"), "TRAINING"),
        (STEP, "step 20 of 100, epoch 2: loss 0.2500, accuracy 0.7500, best 0.8000, 13 windows/s"),
        (
            STEP.model_copy(update={"trial": 3}),
            "trial 3: step 20 of 100, epoch 2: loss 0.2500, accuracy 0.7500, best 0.8000, 13 windows/s",
        ),
        (STEP.model_copy(update={"evaluated": False}), None),  # several a second
        (Resumed(step=7), "goes on from step 7"),
        (Stopped(step=9), "training ended early, at step 9"),
        (Finished(), "done"),
        (Failed(failure=Failure(reason="INTERNAL", message="m")), None),  # its error stands there at length
    ],
)
def test_a_log_has_a_line_for_what_people_ask_about(event, line):
    """Phases, evaluations, where training goes on and where it ends."""
    assert line_of(event) == line
