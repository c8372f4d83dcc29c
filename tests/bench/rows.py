"""The rows of the README's accuracy table: what is measured, and what it is held to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.stubs.training.v1 import training_pb2

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class RowSpec:
    """One row of the table."""

    dataset: str
    task: int
    adaptable: bool
    metric: str
    aim: float | None  # lowest test score to reach, [0, 1]
    baselines: tuple[str, ...]  # each to be reached within MARGIN on test


ROWS = {
    "banking77-adaptable": RowSpec(
        "banking77",
        training_pb2.CLASSIFICATION,
        True,
        "accuracy",
        0.933,
        ("hugging-face", "logistic-regression"),
    ),
    "banking77-frozen": RowSpec(
        "banking77",
        training_pb2.CLASSIFICATION,
        False,
        "accuracy",
        0.925,
        ("hugging-face", "logistic-regression"),
    ),
    "snips-slots": RowSpec("snips", training_pb2.ENTITIES, True, "span_f1", 0.93, ()),
    "wnut17": RowSpec("wnut17", training_pb2.ENTITIES, True, "span_f1", None, ("hugging-face",)),
    "uner-ewt": RowSpec("uner_ewt", training_pb2.ENTITIES, True, "span_f1", None, ("hugging-face",)),
}
MARGIN = 0.003  # of a baseline's score
OURS = "tagsmith"

Arm = dict[str, Any]


def verdict(row: RowSpec, arms: dict[str, Arm]) -> str:
    """Hold the measured arms of a row against its aim and its baselines: `held`, `missed`, or what is not measured yet."""
    bars = [row.aim or 0.0, *(arms[each]["test"] - MARGIN for each in row.baselines if each in arms)]
    if OURS in arms and arms[OURS]["test"] < max(bars):
        return "missed"
    missing = [arm for arm in (OURS, *row.baselines) if arm not in arms]
    return f"not measured: {', '.join(missing)}" if missing else "held"
