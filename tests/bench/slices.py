"""What an average hides: HateCheck's cases and the bias templates, scored by slice, through the services and `tagsmith eval`.

`python -m tests.bench.slices` trains a head on a frozen encoder to tell hateful from non-hateful on some of HateCheck's templates, keeps the
scores by slice that the version's manifest has of the others, and has the same version answer the bias templates, whose rows differ in nothing but the
people that they name. Both sets are made of templates and for tests alone: how well a classifier that learnt from them does says nothing of real texts, and no
level here is a claim. No template is in two splits, but spelling variants and quotations of one are templates of their own.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from shared.scoring.slices import widest_gap
from shared.store.evaluation import SliceScores, SplitEvaluation
from shared.store.manifest import Manifest
from shared.stubs.training.v1 import training_pb2 as pb
from tests.bench.code import code_digest
from tests.bench.data import data_file
from tests.bench.hardware import hardware
from tests.bench.rows import RESULTS
from tests.bench.served import Served, serving

RESULT_FILE: Final = RESULTS / "slices.json"
HATECHECK: Final = "hatecheck/en"
TEMPLATES: Final = "bias_templates/en"
HATECHECK_COLUMNS: Final = ("functionality", "target_ident", "direction")
TEMPLATE_COLUMNS: Final = ("identity", "identity_group")
FEWEST_ROWS: Final = 20  # of a value that may be called the worst or the best
_SPLITS: Final = ("train", "train", "train", "validation", "test")  # a fifth of the templates each
_LABELS: Final = {"toxic": "hateful", "nontoxic": "non-hateful"}

Line = dict[str, str]


def split_of(template: str) -> str:
    """Tell the split of a template by its hash, so that all of its rows are in one."""
    return _SPLITS[int.from_bytes(hashlib.sha256(template.encode()).digest()[:4]) % len(_SPLITS)]


def measure() -> dict[str, Any]:
    """Train, and score both sets by slice."""
    with serving() as services, tempfile.TemporaryDirectory() as folder:
        manifest = _train(services, Path(folder))
        services.ask(manifest, ["hello"])  # has it loaded
        served = services.served_variant(manifest)
        parts = {
            "all": _lines(TEMPLATES),
            "nontoxic": [each for each in _lines(TEMPLATES) if each["label"] == "nontoxic"],
            "toxic": [each for each in _lines(TEMPLATES) if each["label"] == "toxic"],
        }
        of_templates = {
            name: _evaluate(services, manifest, Path(folder) / f"{name}.jsonl", lines)
            for name, lines in parts.items()
        }
    test = manifest.evaluations[served]["test"]
    counts = Counter(each["label"] for each in _lines(HATECHECK) if split_of(each["templ_id"]) == "test")
    return {
        "files": {
            each: hashlib.sha256(data_file(each, "test").read_bytes()).hexdigest()
            for each in (HATECHECK, TEMPLATES)
        },
        "dataset": manifest.lineage.dataset,
        "train_rows": sum(split_of(each["templ_id"]) == "train" for each in _lines(HATECHECK)),
        "served": served,
        "hatecheck": {**_told(test), "most_frequent_label_share": max(counts.values()) / counts.total()},
        "bias_templates": {name: _told(scores) for name, scores in of_templates.items()},
        "seed": manifest.lineage.spec["seed"],
        "code_digest": code_digest(),
        "hardware": hardware(),
    }


def _lines(dataset: str) -> list[Line]:
    return [json.loads(line) for line in data_file(dataset, "test").read_text().splitlines()]


def _write(path: Path, lines: Sequence[Line]) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return path


def _train(services: Served, folder: Path) -> Manifest:
    lines = _lines(HATECHECK)
    files = {
        split: _write(
            folder / f"hatecheck-{split}.jsonl",
            [each for each in lines if split_of(each["templ_id"]) == split],
        )
        for split in dict.fromkeys(_SPLITS)
    }
    dataset = services.import_rows("hatecheck", pb.CLASSIFICATION, files, columns=HATECHECK_COLUMNS)
    return services.train(pb.TrainingSpec(model="hateful", dataset=dataset, adaptable=False, seed=13))


def _evaluate(services: Served, manifest: Manifest, file: Path, lines: Sequence[Line]) -> SplitEvaluation:
    """Have `tagsmith eval` score the served version."""
    _write(file, [{**each, "label": _LABELS[each["label"]]} for each in lines])
    columns = [part for column in TEMPLATE_COLUMNS for part in ("--column", column)]
    command = ["-m", "services.cli", "eval", str(manifest.version), str(file), *columns, "--json"]
    environment = {**os.environ, "TAGSMITH_INFER_ADDRESS": services.infer_address}
    done = subprocess.run(
        [sys.executable, *command], env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    record = json.loads(done.stdout)
    return SplitEvaluation.model_validate(
        {key: value for key, value in record.items() if key in SplitEvaluation.model_fields}
    )


def _told(scores: SplitEvaluation) -> dict[str, Any]:
    return {
        "row_count": scores.row_count,
        "accuracy": scores.metrics["accuracy"],
        "interval": scores.interval,
        "per_label": {name: each.model_dump() for name, each in scores.per_label.items()},
        "slices": [each.model_dump() for each in scores.slices],
    }


def lines() -> Iterator[str]:
    """Yield the lines of the README's table: of every column the average, the worst and the best value."""
    result = json.loads(RESULT_FILE.read_text())
    templates = result["bias_templates"]
    yield f"| Rows | By | On average | Worst, of those with {FEWEST_ROWS} rows | Best |"
    yield "|---|---|---|---|---|"
    yield from _of_columns("HateCheck, other templates", result["hatecheck"])
    yield from _of_columns("Bias templates", templates["all"])
    yield from _of_columns("Bias templates, nontoxic: so many are left alone", templates["nontoxic"])
    yield from _of_columns("Bias templates, toxic: so many are found", templates["toxic"])
    share = result["hatecheck"]["most_frequent_label_share"]
    yield f"\nWhoever always gives the more frequent label is right on {100 * share:.1f} % of HateCheck's other templates, on 50.0 % of the bias templates."


def _of_columns(name: str, told: dict[str, Any]) -> Iterator[str]:
    scores = [SliceScores(**each) for each in told["slices"]]
    for column, ends in widest_gap(scores, fewest_rows=FEWEST_ROWS).items():
        worst, best = (
            f"`{end.value}` {100 * end.metric:.1f} ({100 * end.low:.1f}–{100 * end.high:.1f}), {end.row_count} rows"
            for end in ends
        )
        yield f"| {name}, {told['row_count']:,} | {column} | {100 * told['accuracy']:.1f} | {worst} | {best} |"


def main() -> None:
    """Measure and write."""
    RESULT_FILE.write_text(json.dumps(measure(), indent=1) + "\n")
    print("\n".join(lines()))


if __name__ == "__main__":
    main()
