"""What each technique of fine-tuning is worth: BANKING77 with ten rows a label and with all, each turned on or off alone.

`python -m tests.bench.ablation 10-shot` measures what the result file does not have yet, `... 10-shot ARM` one arm of it; stopped, it goes on
where it was. `... full` does so on the whole train split. Of ten rows a label there are three draws, each with its own seed; validation and
test are the whole splits, scored as the trained network decides, which the export gate holds every version to. What is no knob of a recipe
is a trial, made here (`TRIALS`).
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any, Final

import torch

from services.train.trainer.corpus import Corpus
from services.train.trainer.examples import make_examples
from services.train.trainer.teaching import Lesson
from services.train.trainer.validation import Validation
from tests.bench.lessons import SIZES, Knobs, draw, prepare_classifier
from tests.bench.rows import RESULTS
from tests.bench.runs import RunFile
from tests.bench.trials import TRIALS

DATASET: Final = "banking77"


@dataclass(frozen=True, slots=True)
class ArmSpec:
    """The preset with some knobs turned; or a trial."""

    knobs: Knobs
    trial: str = ""
    adaptable: bool = True


ARMS: Final[dict[str, ArmSpec]] = {
    "preset": ArmSpec({}),
    "three passes": ArmSpec({"max_epochs": 3}),
    "without label smoothing": ArmSpec({"label_smoothing": 0.0}),
    "layer decay 0.9": ArmSpec({"layer_decay": 0.9}),
    "layer decay 0.8": ArmSpec({"layer_decay": 0.8}),
    "gradual unfreezing over 0.2": ArmSpec({"unfreezing_share": 0.2}),
    "gradual unfreezing, layer decay 0.8, slanted triangles": ArmSpec(
        {"unfreezing_share": 0.2, "layer_decay": 0.8, "schedule": "slanted-triangular"}
    ),
    "cosine": ArmSpec({"schedule": "cosine"}),
    "slanted triangles": ArmSpec({"schedule": "slanted-triangular"}),
    "averaged, decay 0.99": ArmSpec({"averaging_decay": 0.99}),
    "averaged, decay 0.998": ArmSpec({"averaging_decay": 0.998}),
    "embeddings frozen": ArmSpec({"freeze_embeddings": True}),
    "three of six layers frozen": ArmSpec({"frozen_layers": 3}),
    "bf16": ArmSpec({"precision": "bf16"}),
    "head begun as a probe": ArmSpec({}, trial="probe"),
    "R-Drop": ArmSpec({}, trial="r-drop"),
    "focal loss": ArmSpec({"label_smoothing": 0.0}, trial="focal"),
    "frozen": ArmSpec({}, adaptable=False),
    "frozen, averaged, decay 0.99": ArmSpec({"averaging_decay": 0.99}, adaptable=False),
    "frozen, without label smoothing": ArmSpec({"label_smoothing": 0.0}, adaptable=False),
}
ON_ALL_ROWS: Final = (  # hours each on two cores: what was tried for the best accuracy
    "preset",
    "bf16",
    "layer decay 0.9",
    "averaged, decay 0.998",
    "head begun as a probe",
    "R-Drop",
)


def run_file(size: str) -> RunFile:
    """Where the figures of a data size stand."""
    return RunFile(RESULTS / "ablation" / f"{DATASET}-{size}.json", DATASET, size)


def measure(arm: ArmSpec, rows_per_label: int | None, seed: int) -> dict[str, float]:
    """Train one arm on one draw; the accuracies of its best weights, and the CPU seconds of its training."""
    corpus = draw(DATASET, rows_per_label, seed)
    prepared = prepare_classifier(corpus, seed=seed, adaptable=arm.adaptable, knobs=arm.knobs)
    encoded, pad_id = prepared.encoded, prepared.reader.tokenizer.pad_id
    teach: Callable[[Lesson], Any] = TRIALS.get(arm.trial, lambda lesson: lesson.teach(lambda _: None))
    started = time.process_time()  # of all threads: another's work on the machine does not count
    network = teach(prepared.lesson)
    seconds = time.process_time() - started
    scores = {}
    for split in ("validation", "test"):
        judged = Corpus(corpus.task, corpus.labels, {**corpus.splits, "validation": corpus.splits[split]})
        examples = make_examples(corpus.splits[split], encoded[split], corpus.labels)
        scores[split] = _score(network, Validation(judged, encoded[split], examples), pad_id)
    return {**scores, "cpu_seconds": round(seconds, 1)}


def _score(network: Any, validation: Validation, pad_id: int) -> float:
    from services.train.trainer.features import compute_features

    with torch.inference_mode():
        features = compute_features(network.encoder, network.reading, validation.examples, pad_id)
        return validation.evaluate(network.eval().head.head(features.vectors)).metric


def table(size: str) -> str:
    """Return the table of the README: mean test accuracy and its range, and how far each arm is from the preset, draw by draw."""
    runs = run_file(size).arms()
    preset = runs["preset"]
    lines = [
        "| Changed | Test accuracy | Range | To the preset | CPU time, to the preset |",
        "|---|---|---|---|---|",
    ]
    for arm in ARMS:
        of_seed = runs.get(arm, {})
        if set(of_seed) != set(preset):
            continue
        scores = [100 * run["test"] for run in of_seed.values()]
        gains = [100 * (run["test"] - preset[seed]["test"]) for seed, run in of_seed.items()]
        slowness = mean(run["cpu_seconds"] for run in of_seed.values()) / mean(
            run["cpu_seconds"] for run in preset.values()
        )
        lines.append(
            f"| {arm} | {mean(scores):.2f} | {min(scores):.2f}–{max(scores):.2f} | {mean(gains):+.2f}"
            f" ({min(gains):+.2f} to {max(gains):+.2f}) | {slowness:.2f} x |"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Measure what is missing of a data size, or of the named arms of it."""
    name, *arms = arguments
    size, file = SIZES[name], run_file(name)
    for seed in size.seeds:
        for arm in arms or (ARMS if size.rows_per_label else ON_ALL_ROWS):
            if file.lacks(arm, seed):
                run = measure(ARMS[arm], size.rows_per_label, seed)
                file.add(arm, seed, {**run, "recipe": asdict(ARMS[arm])})


if __name__ == "__main__":
    main(sys.argv[1:])
