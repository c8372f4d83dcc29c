"""Accuracy on real data, through the services: import, train, publish, serve, ask over gRPC; and the baselines on the same rows.

`python -m tests.bench.accuracy banking77-adaptable` runs one row of the README's table, `... banking77-adaptable tagsmith` only
one arm of it. Results stand in `tests/bench/results/<row>.json`; `python -m tests.bench.table` prints the table from these files.
Exits 1 if an aim or a baseline is missed.
"""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any, Final

from shared.stubs.training.v1 import training_pb2
from tests.bench.baselines import BASELINES
from tests.bench.code import code_digest
from tests.bench.data import SPLITS, data_file, read_split, rows_digest
from tests.bench.hardware import hardware
from tests.bench.hugging_face import tune
from tests.bench.presets_then import mark, preset_today
from tests.bench.rows import HUGGING_FACE, OURS, RESULTS, ROWS, Arm, RowSpec, complete, verdict
from tests.bench.served import CLIENTS, score, serving
from tests.bench.variants import compare

_OF_A_RUN: Final = (
    "validation",
    "test",
    "metrics",
    "interval",
    "hyperparameters",
    "import_and_training_s",
    "seconds",
    "hardware",
    "code_digest",
)
MOST_FLIPPED: Final = {"fp32": 0.0, "int8": 0.005}  # share of texts that batch-mates may move


def run_baseline(row: RowSpec, arm: str, known: Arm | None) -> Iterator[Arm]:
    """Run a baseline of a row. The Trainer's runs are yielded one by one, and one that `known` left unfinished goes on."""
    if arm == HUGGING_FACE:
        unfinished = known if known and known.get("left") else None
        for told in tune(row, unfinished):
            yield {**told, "hardware": hardware()}
        return
    started = time.monotonic()
    scores = asdict(BASELINES[arm](row.dataset))
    yield {**scores, "seconds": round(time.monotonic() - started, 1), "hardware": hardware()}


def run_seeds(row: RowSpec, known: Arm | None) -> Iterator[Arm]:
    """Run Tagsmith with each seed that `known` does not have, and yield the arm as it stands after each.

    The arm's own figures are the means over its runs; what is told of variants and of serving is of the first.
    """
    today = preset_today(row.task, adaptable=row.adaptable)
    arm = known if known and not mark(known, today) else {"runs": {}}
    for seed in row.seeds:
        if str(seed) in arm["runs"]:
            continue
        started = time.monotonic()
        run = _run_tagsmith(row, seed)
        run |= {
            "preset": today,
            "seconds": round(time.monotonic() - started, 1),
            "hardware": hardware(),
            "code_digest": code_digest(),
        }
        runs = {**arm["runs"], str(seed): {key: run[key] for key in _OF_A_RUN}}
        metrics = {
            metric: mean(each["metrics"][metric] for each in runs.values()) for metric in run["metrics"]
        }
        arm = {
            **(arm if arm["runs"] else run),
            "runs": runs,
            "metrics": metrics,
            "test": metrics[row.metric],
            "validation": mean(each["validation"] for each in runs.values()),
            "seconds": sum(each["seconds"] for each in runs.values()),
        }
        yield arm


def measured_for_another(name: str, arm: str) -> Arm | None:
    """Return a baseline's result on the same rows that stands in another row's file: baselines know nothing of Adaptable."""
    for other, row in ROWS.items():
        if other != name and row.dataset == ROWS[name].dataset:
            found: Arm | None = complete(_record(other)["arms"]).get(arm)
            if found:
                return found
    return None


def _files(row: RowSpec) -> dict[str, list[Path]]:
    return {
        split: [
            data_file(row.dataset, split),
            *([data_file(row.dataset, f"oos_{split}")] if row.out_of_scope else []),
        ]
        for split in SPLITS
    }


def _run_tagsmith(row: RowSpec, seed: int) -> Arm:
    """Train, publish and serve; the answers that many clients get must be the version's own."""
    with serving() as services:
        started = time.monotonic()
        out_of_scope = "oos" if row.out_of_scope else ""
        dataset = services.import_rows(
            row.dataset.replace("_", "-"), row.task, _files(row), out_of_scope_label=out_of_scope
        )
        manifest = services.train(
            training_pb2.TrainingSpec(
                model="bench",
                dataset=dataset,
                adaptable=row.adaptable,
                seed=seed,
                recipe=training_pb2.RNN_CLASSIFIER if row.adaptable is None else None,
            )
        )
        trained_s = time.monotonic() - started
        rows = read_split(row.dataset, "test")
        answers = services.ask(manifest, rows.texts)
        compared = compare(services, manifest, rows, row.metric, answers)
    evaluations = manifest.evaluations[compared["served"]]
    test, validation = evaluations["test"], evaluations["validation"]
    lost = abs(score(manifest, rows, answers).metrics[row.metric] - test.metrics[row.metric])
    if (
        compared["moved_when_served"] > MOST_FLIPPED[compared["served"]]
        or lost > MOST_FLIPPED[compared["served"]]
    ):
        sys.exit(f"the served answers are not those of the version: {compared}, {lost}")
    return {
        "name": "Tagsmith",
        "base_model": manifest.lineage.base_model.id if manifest.lineage.base_model else None,
        "dataset": dataset,
        "row_count": test.row_count,
        "validation": validation.metrics[row.metric],
        "test": test.metrics[row.metric],
        "metrics": test.metrics,
        "interval": test.interval,
        "hyperparameters": manifest.lineage.spec["hyperparameters"],
        "import_and_training_s": round(trained_s, 1),
        "clients": CLIENTS,
        **compared,
    }


def main(arguments: list[str]) -> int:
    """Run one row, or the named arms of it."""
    name, *arms = arguments
    row = ROWS[name]
    RESULTS.mkdir(exist_ok=True)
    for arm in arms or (OURS, *row.baselines):
        known = _record(name)["arms"]
        if not arms and arm != OURS and arm in complete(known):
            continue  # nothing of ours changes what a baseline scores; named, it is measured anew
        if arm == OURS:
            results = run_seeds(row, known.get(OURS))
        elif other := measured_for_another(name, arm):
            results = iter([other])
        else:
            results = run_baseline(row, arm, known.get(arm))
        for result in results:
            _add(name, arm, result)
    return int(verdict(row, _record(name)["arms"]) == "missed")


def _record(name: str) -> dict[str, Any]:
    """What was measured of a row; of other rows of text, nothing that compares."""
    row, path = ROWS[name], RESULTS / f"{name}.json"
    known = dict(json.loads(path.read_text())) if path.exists() else {}
    if known.get("rows_digest") == (digest := rows_digest(row.dataset)):
        return known
    return {"row": name, "rows_digest": digest, "arms": {}}


def _add(name: str, arm: str, result: Arm) -> None:
    """Write an arm as it stands. Others may be measured meanwhile: the file is read anew."""
    row, record = ROWS[name], _record(name)
    arms = {**record["arms"], arm: result}
    record |= {"metric": row.metric, "aim": row.aim, "arms": arms, "verdict": verdict(row, arms)}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n")
    score_told = f"test {row.metric} {result['test']:.4f}" if "test" in result else "not yet whole"
    print(f"{name}, {arm}: {score_told}; {record['verdict']}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
