"""Train in English, serve other languages: xSID and SIB-200 on a small German-English base and, beside it, on the English one.

`python -m tests.bench.transfer sib200-frozen` measures one column of the README's table, without a name all of them. The base learnt
English and German only; the other languages show where that ends. Every score is of answers over gRPC.
"""

import json
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from services.train.spec import PresetName
from shared.stubs.training.v1 import training_pb2 as pb
from tests.bench.data import DATA, SPLITS, data_file, read_split
from tests.bench.hardware import hardware
from tests.bench.presets_then import preset_today
from tests.bench.rows import RESULTS
from tests.bench.served import score, serving

RESULT_FILES = RESULTS / "transfer"
BASES = DATA.parent / "bases"
_GERMAN_ENGLISH, _ENGLISH = "minilm-l6-de-en", "all-minilm-l6-v2"


@dataclass(frozen=True, slots=True)
class Column:
    """One training in English."""

    heading: str
    dataset: str
    english: str  # the folder of the language
    task: int
    metric: str
    base: str
    adaptable: bool
    max_epochs: int | None = None  # where the recipe's own would take hours
    preset: PresetName = "standard"

    @property
    def preset_today(self) -> dict[str, Any]:
        """The numbers that it would be measured with."""
        return preset_today(self.task, adaptable=self.adaptable, preset=self.preset)


_XSID_INTENTS = Column(
    "xSID intents",
    "xsid",
    "en",
    pb.CLASSIFICATION,
    "accuracy",
    _GERMAN_ENGLISH,
    adaptable=True,
    max_epochs=1,
)
_SIB200 = Column(
    "SIB-200", "sib200", "eng_Latn", pb.CLASSIFICATION, "accuracy", _GERMAN_ENGLISH, adaptable=True
)
COLUMNS = {
    "xsid-intents-frozen": Column(
        "xSID intents, frozen", "xsid", "en", pb.CLASSIFICATION, "accuracy", _GERMAN_ENGLISH, adaptable=False
    ),
    "xsid-intents": _XSID_INTENTS,
    "xsid-intents-cross-lingual": replace(
        _XSID_INTENTS, heading="xSID intents, preset `cross-lingual`", preset="cross-lingual"
    ),
    "xsid-slots": Column(
        "xSID slots", "xsid", "en", pb.ENTITIES, "span_f1", _GERMAN_ENGLISH, adaptable=True, max_epochs=1
    ),
    "xsid-intents-english-base": Column(
        "xSID intents, frozen, English base",
        "xsid",
        "en",
        pb.CLASSIFICATION,
        "accuracy",
        _ENGLISH,
        adaptable=False,
    ),
    "sib200-frozen": Column(
        "SIB-200, frozen",
        "sib200",
        "eng_Latn",
        pb.CLASSIFICATION,
        "accuracy",
        _GERMAN_ENGLISH,
        adaptable=False,
    ),
    "sib200": _SIB200,
    "sib200-cross-lingual": replace(
        _SIB200, heading="SIB-200, preset `cross-lingual`", preset="cross-lingual"
    ),
    "sib200-english-base": Column(
        "SIB-200, frozen, English base",
        "sib200",
        "eng_Latn",
        pb.CLASSIFICATION,
        "accuracy",
        _ENGLISH,
        adaptable=False,
    ),
}


def measure(column: Column) -> dict[str, Any]:
    """Train on English and score the test split of every language."""
    started = time.monotonic()
    with serving() as services:
        english = f"{column.dataset}/{column.english}"
        files = {split: data_file(english, split) for split in SPLITS}
        spec = pb.TrainingSpec(
            model="bench",
            dataset=services.import_rows(column.dataset, column.task, files),
            base_model=column.base,
            adaptable=column.adaptable,
            preset=pb.Preset.Value(column.preset.upper().replace("-", "_")),
            hyperparameters=pb.Hyperparameters(max_epochs=column.max_epochs),
        )
        manifest = services.train(spec)
        scores, row_counts = {}, {}
        for language in languages(column.dataset):
            rows = read_split(f"{column.dataset}/{language}", "test")
            scores[language] = score(manifest, rows, services.ask(manifest, rows.texts)).metrics[
                column.metric
            ]
            row_counts[language] = len(rows.texts)
        served = services.served_variant(manifest)
    if abs(scores[column.english] - manifest.evaluations[served]["test"].metrics[column.metric]) > 0.005:
        sys.exit("the served answers do not give the manifest's own score")
    return {
        "base_model": column.base,
        "base_digest": manifest.lineage.base_model.digest,
        "dataset": manifest.lineage.dataset,
        "metric": column.metric,
        "served": served,
        "scores": scores,
        "row_counts": row_counts,
        "preset": column.preset_today,
        "hyperparameters": manifest.lineage.spec["hyperparameters"],
        "seconds": round(time.monotonic() - started, 1),
        "hardware": hardware(),
    }


def languages(dataset: str) -> list[str]:
    """Return the languages that have a test split, by the names of their folders."""
    return sorted(path.parent.name for path in (DATA / dataset).glob("*/test.jsonl"))


def result_file(name: str) -> Path:
    """Where the figures of a column stand."""
    return RESULT_FILES / f"{name}.json"


def main(names: list[str]) -> None:
    """Measure the named columns, or all."""
    os.environ["TAGSMITH_BASES_DIR"] = str(BASES)
    RESULT_FILES.mkdir(parents=True, exist_ok=True)
    for name in names or COLUMNS:
        result = measure(COLUMNS[name])
        result_file(name).write_text(json.dumps(result, indent=2) + "\n")
        print(
            name, {language: round(100 * each, 1) for language, each in result["scores"].items()}, flush=True
        )


if __name__ == "__main__":
    main(sys.argv[1:])
