"""Manifests with everything that a card can tell, made from the tiny versions."""

from collections.abc import Sequence
from pathlib import Path

from shared.store.evaluation import (
    Change,
    Comparison,
    CurvePoint,
    Gain,
    LabelScores,
    QualityCheck,
    ReliabilityBin,
    RowError,
    SliceScores,
    SplitEvaluation,
    Trial,
)
from shared.store.manifest import (
    ClassificationDecoding,
    DataFinding,
    GoldenExample,
    Manifest,
    MultiLabelDecoding,
    Task,
)
from tests.tiny import tiny_manifest

SECRET = "zebra crossing at noon"  # a user's text
METRICS = {
    "classification": {"accuracy": 0.875, "macro_f1": 0.75, "calibration_error": 0.0625},
    "multi-label": {"micro_f1": 0.875, "macro_f1": 0.75, "calibration_error": 0.0625},
    "entities": {"span_f1": 0.875, "unseen_span_recall": 0.25, "calibration_error": 0.0625},
}


def measured(task: Task, labels: Sequence[str]) -> SplitEvaluation:
    """An evaluation with every part: the labels' F1 rises with their number, each label is taken for all that follow."""
    count = len(labels)
    return SplitEvaluation(
        row_count=40 * count,
        metrics=METRICS[task],
        per_label={
            label: LabelScores(precision=0.5, recall=0.5, f1=(number + 1) / (count + 1), support=40)
            for number, label in enumerate(labels)
        },
        confusion=tuple(
            (true, answered, 1 + i)
            for i, true in enumerate(labels)
            for answered in (*labels[i:], *([""] if i == 0 else []))
        )
        if task == "classification"
        else (),
        interval=(0.8125, 0.9375),
        reliability=(
            ReliabilityBin(count=4, mean_score=0.5, share_right=0.25),
            ReliabilityBin(count=16, mean_score=0.9, share_right=1.0),
        ),
        slices=(
            SliceScores(column="language", value="en", row_count=30, metric=0.95, low=0.9, high=1.0),
            SliceScores(column="language", value="de", row_count=20, metric=0.7, low=0.6, high=0.8),
            SliceScores(column="channel", value="mail", row_count=25, metric=0.9, low=0.8, high=1.0),
            SliceScores(column="channel", value="chat", row_count=25, metric=0.85, low=0.7, high=0.95),
        ),
        errors=tuple(
            RowError(row=f"test:{i}", true=(labels[0],), answered=(labels[-1],), score=0.9)
            for i in range(200)
        ),
    )


def compared(champion: str, labels: Sequence[str]) -> Comparison:
    """A comparison in which the first label lost most."""
    return Comparison(
        champion=champion,
        split="test",
        row_count=120,
        gain=-0.03125,
        low=-0.0625,
        high=0.015625,
        labels=tuple(
            Change(name=label, row_count=40, before=0.75, after=0.25 + 0.1 * i / len(labels))
            for i, label in enumerate(labels)
        ),
        slices=(Change(name="language=de", row_count=20, before=0.9, after=0.7),),
    )


def version(folder: Path, task: Task = "classification", labels: Sequence[str] = ("a", "b", "c")) -> Manifest:
    """A version with scores of both splits, findings, and a user's text among its golden examples."""
    as_task: Task = "entities" if task == "entities" else "classification"
    manifest, _ = tiny_manifest(folder, as_task, labels)
    golden = {
        "classification": GoldenExample(text=SECRET, label=labels[0]),
        "multi-label": GoldenExample(text=SECRET, labels=()),
        "entities": GoldenExample(text=SECRET, entities=()),
    }
    decoding = {
        "classification": ClassificationDecoding(temperature=1.5, unknown_below=0.375),
        "multi-label": MultiLabelDecoding(thresholds=(0.25,) * len(labels)),
        "entities": manifest.decoding,
    }
    scores = measured(task, labels)
    finding = DataFinding(kind="LEAK", message="the same text is in another split", count=2, places=("x:1",))
    document = manifest.model_copy(
        update={
            "task": task,
            "decoding": decoding[task],
            "golden_examples": (golden[task],),
            "evaluations": {"fp32": {"validation": scores, "test": scores}},
            "findings": (finding,),
            "comparison": compared("m@3", labels),
            "forgetting": compared("m@4", labels),
            "quality_checks": (
                QualityCheck(
                    name="slices",
                    passed=False,
                    measured=5.5,
                    limit=2.0,
                    unit="points",
                    detail="lost on 'language=de'",
                ),
                QualityCheck(
                    name="labels",
                    passed=False,
                    measured=None,
                    limit=2.0,
                    unit="points",
                    detail="there are no labels with rows enough to compare",
                ),
                QualityCheck(
                    name="size",
                    passed=True,
                    measured=12345678,
                    limit=23456789,
                    unit="bytes",
                    detail="files of the smallest variant",
                ),
            ),
            "training_curve": tuple(
                CurvePoint(step=20 * i, train_loss=1 / i, metric=1 - 0.5 / i) for i in range(1, 9)
            ),
            "gain": Gain(split="test", row_count=120, from_scratch=0.5, gain=0.25, low=0.125, high=0.375),
            "trials": (
                Trial(number=1, knobs={"dropout": 0.1}, metric=0.75, state="complete"),
                Trial(number=2, knobs={"dropout": 0.3125}, metric=0.5, state="pruned"),
            ),
        }
    )
    return Manifest.model_validate(document.model_dump())
