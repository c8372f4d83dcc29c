"""How many planted wrong labels the noise report names: 5 % of the train rows of BANKING77 with another label, drawn at random.

`python -m tests.bench.suspects` measures three draws and writes the result file; `... table` prints the line of the README.
"""

import json
import random
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any, Final

import torch

from services.train.trainer.corpus import Corpus
from services.train.trainer.frozen_probe import read_frozen
from services.train.trainer.suspects import find_suspects
from services.train.trainer.transformer import load_encoder
from shared.data.rows import Row
from shared.runtime.reader import TextReader
from shared.runtime.tokenizer import TextTokenizer
from tests.bench.code import code_digest
from tests.bench.data import BASE, read_split, rows_digest
from tests.bench.hardware import hardware
from tests.bench.rows import RESULTS

RESULT_FILE: Final = RESULTS / "suspects-banking77.json"
DATASET: Final = "banking77"
FLIPPED: Final = 0.05  # share of the train rows
SEEDS: Final = (1, 2, 3)


def measure(seed: int) -> dict[str, Any]:
    """Flip, look, count."""
    split = read_split(DATASET, "train")
    labels = tuple(sorted(set(split.labels)))
    dice = random.Random(seed)  # noqa: S311  # which rows are flipped
    flipped = set(dice.sample(range(len(split.texts)), round(FLIPPED * len(split.texts))))
    rows = [Row(text, label=label) for text, label in zip(split.texts, split.labels, strict=True)]
    wrong = [
        replace(row, label=dice.choice([each for each in labels if each != row.label]))
        if i in flipped
        else row
        for i, row in enumerate(rows)
    ]
    corpus = Corpus("classification", labels, {"train": wrong, "validation": [], "test": []})
    reader = TextReader(TextTokenizer(Path(BASE) / "tokenizer.json"), "classification", 256, 64)
    started = time.monotonic()
    encoded = reader.encode([row.text for row in wrong])
    encoder, pad_id = load_encoder(Path(BASE)), reader.tokenizer.pad_id
    found = find_suspects(corpus, encoded, read_frozen(wrong, encoded, labels, encoder, "pooled", pad_id))
    seconds = time.monotonic() - started
    suggested = {each.place: each.suggested_labels for each in found}
    hits = [i for i in flipped if f"train:{i + 1}" in suggested]
    return {
        "rows": len(rows),
        "flipped": len(flipped),
        "named": len(found),
        "flipped_and_named": len(hits),
        "true_label_suggested": sum(suggested[f"train:{i + 1}"] == (rows[i].label,) for i in hits),
        "seconds": round(seconds, 1),
    }


def line() -> str:
    """Return the README's sentence."""
    result = json.loads(RESULT_FILE.read_text())
    runs = result["draws"].values()
    found = [100 * run["flipped_and_named"] / run["flipped"] for run in runs]
    mended = mean(100 * run["true_label_suggested"] / run["flipped_and_named"] for run in runs)
    first = next(iter(runs))
    return (
        f"Of {first['flipped']} labels of BANKING77's {first['rows']} train rows that were changed at random, {mean(found):.1f} % are among the"
        f" {first['named']} rows that are named ({len(found)} draws: {min(found):.1f} to {max(found):.1f} %), {mended:.1f} % of these with their true label"
        " as the suggestion (`python -m tests.bench.suspects`)."
    )


def main(arguments: list[str]) -> None:
    """Measure, or print the line."""
    if arguments == ["table"]:
        print(line())
        return
    torch.manual_seed(0)
    draws = {str(seed): measure(seed) for seed in SEEDS}
    result = {
        "rows_digest": rows_digest(DATASET),
        "code_digest": code_digest(),
        "draws": draws,
        "hardware": hardware(),
    }
    RESULT_FILE.write_text(json.dumps(result, indent=2) + "\n")
    print(line())


if __name__ == "__main__":
    main(sys.argv[1:])
