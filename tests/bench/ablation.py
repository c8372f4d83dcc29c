"""What each technique of fine-tuning is worth: BANKING77 with ten rows a label and with all, each turned on or off alone.

`python -m tests.bench.ablation 10-shot` measures what the result file does not have yet, `... 10-shot ARM` one arm of it; stopped, it goes on
where it was. `... full` does so on the whole train split. Of ten rows a label there are three draws, each with its own seed; validation and
test are the whole splits, scored as the trained network decides, which the export gate holds every version to. What is no knob of a recipe
is a trial, made here (`TRIALS`).
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any, Final

import torch

from services.train.spec import PresetName
from services.train.trainer.corpus import Corpus
from services.train.trainer.driving import Driver
from services.train.trainer.examples import make_examples
from services.train.trainer.features import compute_features
from services.train.trainer.teaching import Lesson
from services.train.trainer.validation import Validation
from tests.bench.lessons import SIZES, Knobs, draw, prepare_classifier, preset_numbers
from tests.bench.rows import RESULTS
from tests.bench.runs import Run, RunFile
from tests.bench.trials import TRIALS

DATASET: Final = "banking77"


@dataclass(frozen=True, slots=True)
class ArmSpec:
    """A preset with some knobs turned; or a trial."""

    knobs: Knobs
    preset: PresetName = "standard"
    trial: str = ""
    adaptable: bool = True


# In the arithmetic of every processor, as what others fine-tune with usually is.
_PLAIN: Final[Knobs] = {
    "unfreezing_share": 0.0,
    "layer_decay": 1.0,
    "schedule": "linear",
    "averaging_decay": 0.0,
    "precision": "fp32",
}

ARMS: Final[dict[str, ArmSpec]] = {
    "preset": ArmSpec({}),
    "no gradual unfreezing": ArmSpec({"unfreezing_share": 0.0}),
    "no layer decay": ArmSpec({"layer_decay": 1.0}),
    "no slanted triangles": ArmSpec({"schedule": "linear"}),
    "not averaged": ArmSpec({"averaging_decay": 0.0}),
    "fp32": ArmSpec({"precision": "fp32"}),
    "not averaged, fp32": ArmSpec({"averaging_decay": 0.0, "precision": "fp32"}),
    "none of the five": ArmSpec(_PLAIN),
    "none of the five; three passes": ArmSpec({**_PLAIN, "max_epochs": 3}),
    "quick": ArmSpec({}, preset="quick"),
    "cosine": ArmSpec({"schedule": "cosine"}),
    "layer decay 0.9": ArmSpec({"layer_decay": 0.9}),
    "without label smoothing": ArmSpec({"label_smoothing": 0.0}),
    "embeddings frozen": ArmSpec({"freeze_embeddings": True}),
    "three of six layers frozen": ArmSpec({"frozen_layers": 3}),
    "head begun as a probe": ArmSpec({}, trial="probe"),
    "R-Drop": ArmSpec({}, trial="r-drop"),
    "focal loss": ArmSpec({"label_smoothing": 0.0}, trial="focal"),
    "frozen": ArmSpec({}, adaptable=False),
    "frozen, averaged, decay 0.99": ArmSpec({"averaging_decay": 0.99}, adaptable=False),
    "frozen, without label smoothing": ArmSpec({"label_smoothing": 0.0}, adaptable=False),
}
# Half an hour each on a core: what was tried for the best accuracy.
ON_ALL_ROWS: Final = ("preset", "not averaged, fp32", "fp32", "none of the five", "R-Drop")


def run_file(size: str) -> RunFile:
    """Where the figures of a data size stand."""
    recipes = {
        arm: {**asdict(spec), "preset": preset_numbers(spec.preset, adaptable=spec.adaptable)}
        for arm, spec in ARMS.items()
    }
    return RunFile(RESULTS / "ablation" / f"{DATASET}-{size}.json", DATASET, size, recipes)


def measure(arm: ArmSpec, rows_per_label: int | None, seed: int) -> dict[str, float]:
    """Train one arm on one draw; the accuracies of its best weights, and the CPU seconds of its training."""
    corpus = draw(DATASET, rows_per_label, seed)
    prepared = prepare_classifier(
        corpus, seed=seed, adaptable=arm.adaptable, knobs=arm.knobs, preset=arm.preset
    )
    encoded, pad_id = prepared.encoded, prepared.reader.tokenizer.pad_id
    teach: Callable[[Lesson], Any] = TRIALS.get(
        arm.trial, lambda lesson: lesson.teach(Driver(lambda _: None)).network
    )
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
    with torch.inference_mode():
        features = compute_features(network.encoder, network.reading, validation.examples, pad_id)
        return validation.evaluate(network.eval().head.head(features.vectors)).metric


def lines(size: str, runs: Mapping[str, Mapping[str, Run]]) -> Iterator[str]:
    """Yield the lines of the README's table: mean test accuracy and its range, and how far each arm is from the preset, draw by draw."""
    preset = runs.get("preset", {})
    for arm in ARMS:
        of_seed = runs.get(arm, {})
        if not preset or set(of_seed) != set(preset):
            continue
        scores = [100 * run["test"] for run in of_seed.values()]
        gains = [100 * (run["test"] - preset[seed]["test"]) for seed, run in of_seed.items()]
        slowness = mean(run["cpu_seconds"] for run in of_seed.values()) / mean(
            run["cpu_seconds"] for run in preset.values()
        )
        spread = f"{min(scores):.2f}–{max(scores):.2f}" if len(scores) > 1 else "one run"
        told = f"{mean(gains):+.2f}" + (
            f" ({min(gains):+.2f} to {max(gains):+.2f})" if len(gains) > 1 else ""
        )
        told = "–" if arm == "preset" else told
        yield f"| {size} | {arm} | {mean(scores):.2f} | {spread} | {told} | {slowness:.2f} x |"


def main(arguments: list[str]) -> None:
    """Measure what is missing of a data size, or of the named arms of it."""
    name, *arms = arguments
    size, file = SIZES[name], run_file(name)
    for seed in size.seeds:
        for arm in arms or (ARMS if size.rows_per_label else ON_ALL_ROWS):
            if file.lacks(arm, seed):
                file.add(arm, seed, measure(ARMS[arm], size.rows_per_label, seed))


if __name__ == "__main__":
    main(sys.argv[1:])
