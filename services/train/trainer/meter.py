"""Losses and rates between reports of a training."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from services.train.events import Progress
from services.train.trainer.validation import Evaluation

REPORT_INTERVAL_S: Final = 0.25


class Meter:
    """Hears every step. Its time is that of the training alone: what lies between two attempts does not count."""

    def __init__(self, metric_name: str, total_steps: int, now: Callable[[], float]) -> None:
        """`now` is a monotonic clock in seconds."""
        self._metric_name, self._total_steps, self._now = metric_name, total_steps, now
        self._start_s = self._reported_s = now()
        self._since_report, self._since_look = _Mean(), _Mean()
        self._rows = 0
        self._loss = 0.0  # of the last report
        self._metric: float | None = None
        self._best: float | None = None

    def count(self, loss: float, rows: int) -> None:
        """A step was taken."""
        self._since_report.add(loss)
        self._since_look.add(loss)
        self._rows += rows

    def is_due(self) -> bool:
        """It is time for a report."""
        return self._now() - self._reported_s >= REPORT_INTERVAL_S

    def report(
        self, step: int, epoch: int, evaluation: Evaluation | None = None, best: Evaluation | None = None
    ) -> Progress:
        """Tell how far the training is."""
        if evaluation is not None and best is not None:
            self._metric, self._best = evaluation.metric, best.metric
        if self._since_report.count:
            self._loss = self._since_report.value
        elapsed_s = max(self._now() - self._start_s, 1e-9)
        progress = Progress(
            step=step,
            total_steps=self._total_steps,
            epoch=epoch,
            loss=self._loss,
            metric_name=self._metric_name,
            metric=self._metric,
            best_metric=self._best,
            remaining_ms=int(1000 * elapsed_s / step * (self._total_steps - step)),
            rows_per_second=self._rows / elapsed_s,
            evaluated=evaluation is not None,
            interval_loss=self._since_look.value if evaluation is not None else None,
        )
        self._reported_s = self._now()
        self._since_report = _Mean()
        if evaluation is not None:
            self._since_look = _Mean()
        return progress

    @property
    def record(self) -> dict[str, Any]:
        """All that is known."""
        return {
            "elapsed_s": self._now() - self._start_s,
            "since_report": asdict(self._since_report),
            "since_look": asdict(self._since_look),
            "rows": self._rows,
            "metric": self._metric,
            "best": self._best,
        }

    def restore(self, record: Mapping[str, Any]) -> None:
        """Go on from a record."""
        self._start_s = self._now() - record["elapsed_s"]
        self._since_report, self._since_look = (
            _Mean(**record[name]) for name in ("since_report", "since_look")
        )
        self._rows, self._metric, self._best = (record[name] for name in ("rows", "metric", "best"))


@dataclass(slots=True)
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.total += value
        self.count += 1

    @property
    def value(self) -> float:
        return self.total / max(1, self.count)
