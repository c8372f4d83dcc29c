"""What each technique of fine-tuning is worth: BANKING77 with ten rows a label, each turned on or off alone.

`python -m tests.bench.ablation` measures what the result file does not have yet, `... ARM` one arm of it; stopped, it goes on where
it was. Three draws of the train split, each with its own seed; validation and test are the whole splits, scored as the trained network
decides, which the export gate holds every version to. What is no knob of a recipe is a trial, made here (`TRIALS`).
"""

import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

import torch

from services.train.catalogue import Catalogue
from services.train.recipes import default_hyperparameters
from services.train.spec import JobSpec
from services.train.trainer.corpus import Corpus
from services.train.trainer.devices import be_deterministic
from services.train.trainer.examples import make_examples
from services.train.trainer.pipeline import prepare
from services.train.trainer.teaching import Lesson
from services.train.trainer.transformer import load_encoder
from services.train.trainer.validation import Validation
from shared.data.rows import SPLIT_NAMES, Row, SplitName
from shared.runtime.reader import TextReader
from shared.runtime.tokenizer import TextTokenizer
from tests.bench.code import code_digest
from tests.bench.data import BASE, read_split, rows_digest
from tests.bench.hardware import hardware
from tests.bench.rows import RESULTS
from tests.bench.trials import TRIALS

RESULT_FILE: Final = RESULTS / "ablation" / "banking77-10.json"
DATASET: Final = "banking77"
ROWS_PER_LABEL: Final = 10
SEEDS: Final = (1, 2, 3)

Knobs = Mapping[str, float | str | bool]


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


def measure(arm: ArmSpec, seed: int) -> dict[str, float]:
    """Train one arm on one draw; the accuracies of its best weights, and the CPU seconds of its training."""
    corpus = Corpus("classification", *_drawn(seed))
    base = Catalogue(None).find("all-minilm-l6-v2")
    usual = default_hyperparameters(
        "transformer-classifier",
        adaptable=arm.adaptable,
        base=base,
        train_row_count=len(corpus.splits["train"]),
    )
    chosen = usual.model_copy(update=dict(arm.knobs))
    spec = JobSpec(
        model="ablation",
        dataset=DATASET,
        task="classification",
        recipe="transformer-classifier",
        base_model=base.id,
        base_digest=base.digest,
        adaptable=arm.adaptable,
        hyperparameters=chosen,
        seed=seed,
    )
    be_deterministic()
    torch.manual_seed(seed)
    tokenizer = TextTokenizer(Path(BASE) / "tokenizer.json")
    reader = TextReader(tokenizer, corpus.task, chosen.max_tokens, stride_tokens=chosen.max_tokens // 4)
    encoded = {split: reader.encode([row.text for row in rows]) for split, rows in corpus.splits.items()}
    lesson = prepare(spec, corpus, encoded, load_encoder(Path(BASE)), reader.tokenizer.pad_id)
    teach: Callable[[Lesson], Any] = TRIALS.get(arm.trial, lambda lesson: lesson.teach(lambda _: None))
    started = time.process_time()  # of all threads: another's work on the machine does not count
    network = teach(lesson)
    seconds = time.process_time() - started
    scores = {}
    for split in ("validation", "test"):
        judged = Corpus(corpus.task, corpus.labels, {**corpus.splits, "validation": corpus.splits[split]})
        examples = make_examples(corpus.splits[split], encoded[split], corpus.labels)
        scores[split] = _score(network, Validation(judged, encoded[split], examples), tokenizer.pad_id)
    return {**scores, "cpu_seconds": round(seconds, 1)}


def _score(network: Any, validation: Validation, pad_id: int) -> float:
    from services.train.trainer.features import compute_features

    with torch.inference_mode():
        features = compute_features(network.encoder, network.reading, validation.examples, pad_id)
        return validation.evaluate(network.eval().head.head(features.vectors)).metric


def _drawn(seed: int) -> tuple[tuple[str, ...], dict[SplitName, list[Row]]]:
    """The labels, and the splits with ROWS_PER_LABEL train rows of each."""
    splits: dict[SplitName, list[Row]] = {}
    for split in SPLIT_NAMES:
        rows = read_split(DATASET, split)
        splits[split] = [Row(text, label=label) for text, label in zip(rows.texts, rows.labels, strict=True)]
    random.Random(seed).shuffle(splits["train"])  # noqa: S311  # a draw of rows, no secret
    taken: dict[str, list[Row]] = {}
    for row in splits["train"]:
        of_label = taken.setdefault(row.label or "", [])
        if len(of_label) < ROWS_PER_LABEL:
            of_label.append(row)
    splits["train"] = [row for of_label in taken.values() for row in of_label]
    return tuple(sorted(taken)), splits


def table() -> str:
    """Return the table of the README: mean test accuracy and its range, and how far each arm is from the preset, draw by draw."""
    runs: dict[str, dict[str, dict[str, Any]]] = json.loads(RESULT_FILE.read_text())["arms"]
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


def main(names: list[str]) -> None:
    """Measure what is missing, or what is named, or print the table."""
    if names == ["table"]:
        print(table())
        return
    for seed in SEEDS:
        for name in names or ARMS:
            if str(seed) in _known()["arms"].get(name, {}):
                continue
            run = measure(ARMS[name], seed)
            known = _known()  # anew: other arms may have been measured meanwhile
            known["arms"].setdefault(name, {})[str(seed)] = {
                **run,
                "recipe": asdict(ARMS[name]),
                "code_digest": code_digest(),
                "hardware": hardware(),
            }
            RESULT_FILE.parent.mkdir(exist_ok=True)
            RESULT_FILE.write_text(json.dumps(known, indent=2) + "\n")
            print(f"{name}, seed {seed}: {run}", flush=True)


def _known() -> dict[str, Any]:
    """What stands in the file of the same rows."""
    digest = rows_digest(DATASET)
    known: dict[str, Any] = json.loads(RESULT_FILE.read_text()) if RESULT_FILE.exists() else {}
    if known.get("rows_digest") == digest:
        return known
    return {"rows_digest": digest, "rows_per_label": ROWS_PER_LABEL, "arms": {}}


if __name__ == "__main__":
    main(sys.argv[1:])
