"""How few rows a label make the RNN lose to the frozen encoder: both trained on growing draws of BANKING77 and SNIPS intents.

`python -m tests.bench.few_rows banking77` measures the curves of one data set, without a name of both; `... draw` makes the README's
picture from the result files. Draws of a seed are nested; validation and test are always the whole splits.
"""

import json
import random
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

from shared.stubs.training.v1 import training_pb2 as pb
from tests.bench.data import SPLITS, data_file, rows_digest
from tests.bench.hardware import hardware
from tests.bench.rows import RESULTS
from tests.bench.served import Served, serving

RESULT_FILES: Final = RESULTS / "few-rows"
PICTURE: Final = Path(__file__).parents[2] / "docs" / "few-rows.svg"
DATASETS: Final = {"banking77": (5, 10, 20, 50), "snips": (5, 10, 20, 50, 100, 300)}  # rows a label; then all
ARMS: Final = {
    "RNN": {"recipe": pb.RNN_CLASSIFIER},
    "frozen encoder": {"adaptable": False},
}
_SEVERAL_SEEDS_UP_TO: Final = 20  # rows a label: from there on draws differ little
_SEEDS: Final = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Draw:
    """Some rows of the train split."""

    rows_per_label: int | None  # None: all
    seed: int


def measure(dataset: str) -> dict[str, Any]:
    """Train both arms on every draw."""
    draws = [
        Draw(count, seed)
        for count in DATASETS[dataset]
        for seed in (_SEEDS if count <= _SEVERAL_SEEDS_UP_TO else _SEEDS[:1])
    ]
    points = []
    with serving() as services:
        for draw in [*draws, Draw(None, _SEEDS[0])]:
            point = _train_arms(services, dataset, draw)
            print(dataset, point, flush=True)
            points.append(point)
    return {"dataset": dataset, "rows_digest": rows_digest(dataset), "points": points, "hardware": hardware()}


def _train_arms(services: Served, dataset: str, draw: Draw) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        files = {split: data_file(dataset, split) for split in SPLITS}
        lines = _drawn(files["train"].read_text().splitlines(), draw)
        files["train"] = Path(folder) / "train.jsonl"
        files["train"].write_text("\n".join(lines) + "\n")
        name = services.import_rows(dataset, pb.CLASSIFICATION, files)
    point: dict[str, Any] = {
        "rows_per_label": draw.rows_per_label,
        "seed": draw.seed,
        "row_count": len(lines),
        "accuracy": {},
    }
    for arm, choice in ARMS.items():
        model = f"{dataset}-{arm.split()[0].lower()}"
        manifest = services.train(pb.TrainingSpec(model=model, dataset=name, **choice))
        point["accuracy"][arm] = manifest.evaluations["fp32"]["test"].metrics["accuracy"]
    return point


def _drawn(lines: list[str], draw: Draw) -> list[str]:
    """Take the first rows of each label in an order that the seed gives."""
    if draw.rows_per_label is None:
        return lines
    shuffled = random.Random(draw.seed).sample(lines, len(lines))  # noqa: S311  # a draw of rows, no secret
    taken: dict[str, list[str]] = {}
    for line in shuffled:
        of_label = taken.setdefault(json.loads(line)["label"], [])
        if len(of_label) < draw.rows_per_label:
            of_label.append(line)
    return [line for of_label in taken.values() for line in of_label]


def curves(dataset: str) -> dict[str, dict[int, list[float]]]:
    """Read the accuracies of each arm by the mean number of rows a label."""
    result = json.loads((RESULT_FILES / f"{dataset}.json").read_text())
    label_count = _label_count(result["points"])
    read: dict[str, dict[int, list[float]]] = {arm: {} for arm in ARMS}
    for point in result["points"]:
        rows = point["rows_per_label"] or round(point["row_count"] / label_count)
        for arm, accuracy in point["accuracy"].items():
            read[arm].setdefault(rows, []).append(accuracy)
    return read


def _label_count(points: list[dict[str, Any]]) -> int:
    least = next(point for point in points if point["rows_per_label"])  # every label has as many rows there
    return int(least["row_count"] / least["rows_per_label"])


def draw_picture(path: Path) -> None:
    """Plot the means, with the range of the draws, as SVG; equal results give equal bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "few-rows", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(DATASETS), figsize=(9, 3.2), sharey=True, layout="constrained")
    for axis, dataset in zip(axes, DATASETS, strict=True):
        for (arm, points), marker in zip(curves(dataset).items(), "os", strict=True):
            rows = sorted(points)
            means = [100 * mean(points[each]) for each in rows]
            below = [m - 100 * min(points[each]) for m, each in zip(means, rows, strict=True)]
            above = [100 * max(points[each]) - m for m, each in zip(means, rows, strict=True)]
            axis.errorbar(rows, means, yerr=(below, above), marker=marker, capsize=3, label=arm)
        axis.set(title=dataset, xscale="log", xlabel="train rows a label", xticks=rows)
        axis.set_xticklabels([str(each) for each in rows])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("test accuracy, %")
    axes[0].legend()
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main(names: list[str]) -> None:
    """Measure, or draw."""
    if names == ["draw"]:
        draw_picture(PICTURE)
        return
    RESULT_FILES.mkdir(parents=True, exist_ok=True)
    for dataset in names or DATASETS:
        result = measure(dataset)
        (RESULT_FILES / f"{dataset}.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
