"""A draw of rows and its lesson, as a job prepares them: for benchmarks that teach without the services around."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch

from services.train.catalogue import Catalogue
from services.train.presets import presets_of
from services.train.recipes import default_hyperparameters
from services.train.spec import JobSpec, PresetName
from services.train.trainer.corpus import Corpus
from services.train.trainer.devices import be_deterministic
from services.train.trainer.pipeline import prepare
from services.train.trainer.teaching import Lesson
from services.train.trainer.transformer import load_encoder
from shared.data.rows import SPLIT_NAMES, Row, SplitName
from shared.runtime.reader import EncodedText, TextReader
from shared.runtime.tokenizer import TextTokenizer
from tests.bench.data import BASE, read_split

Knobs = Mapping[str, float | str | bool]


@dataclass(frozen=True, slots=True)
class Size:
    """How much of the train split is learnt from, and how often."""

    rows_per_label: int | None  # None: all
    seeds: tuple[int, ...]  # each a draw of rows and the training's own


SIZES: Final = {"10-shot": Size(10, (1, 2, 3)), "full": Size(None, (13,))}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What can be taught, and the reader that made it of texts."""

    lesson: Lesson
    reader: TextReader
    encoded: dict[SplitName, list[EncodedText]]


def preset_numbers(name: PresetName = "standard", *, adaptable: bool) -> dict[str, Any]:
    """Return the numbers of a preset of transformer-classifier, which runs are measured with."""
    return asdict(presets_of("transformer-classifier", adaptable=adaptable)[name])


def draw(dataset: str, rows_per_label: int | None, seed: int) -> Corpus:
    """So many train rows of each label of a classification set, None: all; validation and test are the whole splits."""
    splits: dict[SplitName, list[Row]] = {}
    for split in SPLIT_NAMES:
        rows = read_split(dataset, split)
        splits[split] = [Row(text, label=label) for text, label in zip(rows.texts, rows.labels, strict=True)]
    labels = tuple(sorted({row.label or "" for row in splits["train"]}))
    if rows_per_label is not None:
        random.Random(seed).shuffle(splits["train"])  # noqa: S311  # a draw of rows, no secret
        taken: dict[str, list[Row]] = {}
        for row in splits["train"]:
            of_label = taken.setdefault(row.label or "", [])
            if len(of_label) < rows_per_label:
                of_label.append(row)
        splits["train"] = [row for of_label in taken.values() for row in of_label]
    return Corpus("classification", labels, splits)


def prepare_classifier(
    corpus: Corpus,
    *,
    seed: int,
    adaptable: bool = True,
    knobs: Knobs | None = None,
    preset: PresetName = "standard",
) -> Prepared:
    """Prepare transformer-classifier by a preset, with some knobs turned, as the trainer does."""
    base = Catalogue(None).find("all-minilm-l6-v2")
    usual = default_hyperparameters(
        "transformer-classifier",
        adaptable=adaptable,
        base=base,
        train_row_count=len(corpus.splits["train"]),
        preset=preset,
    )
    chosen = usual.model_copy(update=dict(knobs or {}))
    spec = JobSpec(
        model="bench",
        dataset="bench",
        task="classification",
        recipe="transformer-classifier",
        base_model=base.id,
        base_digest=base.digest,
        adaptable=adaptable,
        hyperparameters=chosen,
        seed=seed,
    )
    be_deterministic()
    torch.manual_seed(seed)
    tokenizer = TextTokenizer(Path(BASE) / "tokenizer.json")
    reader = TextReader(tokenizer, corpus.task, chosen.max_tokens, stride_tokens=chosen.max_tokens // 4)
    encoded = {split: reader.encode([row.text for row in rows]) for split, rows in corpus.splits.items()}
    return Prepared(
        prepare(spec, corpus, encoded, load_encoder(Path(BASE)), reader.tokenizer.pad_id), reader, encoded
    )
