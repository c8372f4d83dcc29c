"""Job records, progress and trainers made up for tests."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from services.train.engines.port import UNWATCHED, Exit, Handle
from services.train.events import Progress
from services.train.jobs.record import JobRecord
from services.train.spec import Hyperparameters, JobSpec

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LATER = datetime(2026, 1, 2, 4, 0, 0, tzinfo=UTC)

SPEC = JobSpec(
    model="banking",
    dataset=f"support@sha256:{'a' * 64}",
    task="classification",
    recipe="transformer-classifier",
    base_model="all-minilm-l6-v2",
    base_digest="b" * 64,
    adaptable=True,
    hyperparameters=Hyperparameters(
        max_epochs=3,
        batch_size=32,
        encoder_learning_rate=1e-4,
        head_learning_rate=1e-3,
        warmup_share=0.1,
        weight_decay=0.01,
        dropout=0.1,
        patience=4,
        max_tokens=256,
        pooling="masked-mean",
        label_smoothing=0.1,
    ),
    seed=13,
)
PROGRESS = Progress(
    step=7,
    total_steps=100,
    epoch=1,
    loss=0.25,
    metric_name="accuracy",
    metric=None,
    best_metric=0.5,
    remaining_ms=1000,
    rows_per_second=64.0,
)


def job_record(number: int = 1, *, model: str = "banking", **fields: object) -> JobRecord:
    """A job that waits, the `number`th of its kind."""
    job = JobRecord(
        id=f"job-{number:016x}",
        request_id="",
        order_digest="d" * 64,
        spec=SPEC.model_copy(update={"model": model}),
        promote_to="production",
        version=f"{model}@{number}",
        create_time=NOW,
    )
    return replace(job, **fields)  # type: ignore[arg-type]


class ScriptedTrainer:
    """A trainer that has ended (`exit_`), or ends when it is stopped."""

    def __init__(self, *, exit_: Exit | None = None) -> None:
        self.exit = exit_
        self.stops = 0

    def poll(self) -> Exit | None:
        return self.exit

    def stop(self, *, grace_s: float) -> bool:
        self.stops += 1
        self.exit = self.exit or Exit(signal="SIGTERM")
        return True


class ScriptedEngine:
    """An engine whose trainers are scripted: `on_start` plays the trainer and may write events into the folder."""

    is_shared = False

    def __init__(self, on_start: Callable[[Path], ScriptedTrainer]) -> None:
        self.on_start = on_start
        self.starts = 0
        self.trainers: dict[Path, ScriptedTrainer] = {}

    def start(self, folder: Path, on_record: Callable[[Handle], object]) -> ScriptedTrainer:
        self.starts += 1
        trainer = self.on_start(folder)
        on_record({"number": self.starts})
        self.trainers[folder] = trainer
        return trainer

    def adopt(self, handle: Handle, folder: Path) -> ScriptedTrainer:
        return self.trainers.get(folder) or ScriptedTrainer(exit_=UNWATCHED)
