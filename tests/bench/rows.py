"""The rows of the README's accuracy table: what is measured, and what it is held to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.stubs.training.v1 import training_pb2 as pb

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class RowSpec:
    """One row of the table."""

    dataset: str
    task: int
    metric: str
    aim: float | None = None  # lowest test score to reach, the mean over the seeds, [0, 1]
    seeds: tuple[int, ...] = (13,)
    out_of_scope: bool = False  # the set has `oos_*` files of texts that belong to no label
    other_aims: tuple[tuple[str, float], ...] = ()  # lowest test scores of other metrics
    adaptable: bool | None = True  # None: from scratch, by rnn-classifier
    baselines: tuple[str, ...] = ()  # each to be reached on test
    baseline_seeds: tuple[int, ...] = (13,)  # of the Hugging Face Trainer; the others draw nothing
    beside: tuple[str, ...] = ()  # metrics that are told too

    @property
    def aims(self) -> dict[str, float]:
        """The lowest test scores to reach, by metric."""
        return {**({} if self.aim is None else {self.metric: self.aim}), **dict(self.other_aims)}


ROWS = {
    "banking77-adaptable": RowSpec(
        "banking77",
        pb.CLASSIFICATION,
        "accuracy",
        aim=0.94,
        seeds=(13, 14, 15),
        baselines=("hugging-face", "logistic-regression"),
    ),
    "banking77-frozen": RowSpec(
        "banking77",
        pb.CLASSIFICATION,
        "accuracy",
        adaptable=False,
        aim=0.932,
        seeds=(13, 14, 15),
        baselines=("hugging-face", "logistic-regression"),
    ),
    "banking77-rnn": RowSpec(
        "banking77",
        pb.CLASSIFICATION,
        "accuracy",
        adaptable=None,
        aim=0.85,
        baselines=("tf-idf",),
    ),
    "clinc150": RowSpec(
        "clinc150",
        pb.CLASSIFICATION,
        "accuracy",
        aim=0.94,
        out_of_scope=True,
        other_aims=(("best_label_accuracy", 0.96), ("out_of_scope_recall", 0.60)),
        beside=("best_label_accuracy", "out_of_scope_recall"),
    ),
    "sms-spam": RowSpec(
        "sms_spam",
        pb.CLASSIFICATION,
        "accuracy",
        baselines=("logistic-regression", "tf-idf"),
        beside=("macro_f1",),
    ),
    "nlupp": RowSpec(
        "nlupp",
        pb.MULTI_LABEL,
        "micro_f1",
        baselines=("hugging-face", "one-vs-rest"),
        beside=("macro_f1",),
    ),
    "goemotions": RowSpec(
        "goemotions",
        pb.MULTI_LABEL,
        "micro_f1",
        baselines=("hugging-face", "one-vs-rest"),
        beside=("macro_f1",),
    ),
    "snips-slots": RowSpec("snips", pb.ENTITIES, "span_f1", aim=0.95),
    "wnut17": RowSpec(
        "wnut17",
        pb.ENTITIES,
        "span_f1",
        seeds=(13, 14, 15),
        baselines=("hugging-face",),
        baseline_seeds=(13, 14, 15),
    ),
    "uner-ewt": RowSpec("uner_ewt", pb.ENTITIES, "span_f1", baselines=("hugging-face",)),
}
OURS = "tagsmith"
HUGGING_FACE = "hugging-face"

Arm = dict[str, Any]


def complete(arms: dict[str, Arm]) -> dict[str, Arm]:
    """Those that have no runs left to do."""
    return {name: arm for name, arm in arms.items() if not arm.get("left")}


def verdict(row: RowSpec, arms: dict[str, Arm]) -> str:
    """Hold the measured arms of a row against its aim and its baselines: `held`, `missed`, or what is not measured yet."""
    whole = complete(arms)
    bars = [row.aim or 0.0, *(whole[each]["test"] for each in row.baselines if each in whole)]
    ours = arms.get(OURS)
    if ours and ours["test"] < max(bars):
        return "missed"
    if ours and any(ours["metrics"][metric] < aim for metric, aim in row.other_aims):
        return "missed"
    missing = [arm for arm in (OURS, *row.baselines) if arm not in arms]
    missing += [f"{arm}: {', '.join(arms[arm]['left'])}" for arm in arms if arm not in whole]
    if ours and (left := set(map(str, row.seeds)) - ours.get("runs", {}).keys()):
        missing.append(f"seeds {', '.join(sorted(left))}")
    return f"not measured: {', '.join(missing)}" if missing else "held"
