"""The best weights so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from services.train.trainer.validation import Evaluation


@dataclass(slots=True)
class Best:
    """Which evaluation was the best, and the weights that it saw."""

    evaluation: Evaluation | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0  # of the evaluation; 0: there is none
    without_better: int = 0  # evaluations since the metric rose

    def consider(
        self, evaluation: Evaluation, weights: Mapping[str, Tensor], step: int, *, counts: bool
    ) -> None:
        """Keep a copy of `weights` if they are better; else it `counts`, or not, as one without."""
        best = self.evaluation
        rose = best is None or evaluation.metric > best.metric
        self.without_better = 0 if rose else self.without_better + counts
        if best is None or (evaluation.metric, -evaluation.loss) > (best.metric, -best.loss):
            self.evaluation, self.step = evaluation, step
            self.weights = {name: weight.detach().clone() for name, weight in weights.items()}

    @property
    def record(self) -> dict[str, Any]:
        """All but the weights."""
        evaluation = self.evaluation
        return {
            "evaluation": evaluation and [evaluation.metric, evaluation.loss],
            "step": self.step,
            "without_better": self.without_better,
        }

    def restore(self, record: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Go on from a record, and the weights that belong to it."""
        self.evaluation = record["evaluation"] and Evaluation(*record["evaluation"])
        self.step, self.without_better = record["step"], record["without_better"]
        self.weights = {name: weight.clone() for name, weight in weights.items()}
