"""Accuracy on real data, through the services: import, train, publish, serve, ask over gRPC; and the baselines on the same rows.

`python -m tests.bench.accuracy banking77-adaptable` runs one row of the README's table, `... banking77-adaptable tagsmith` only
one arm of it. Results stand in `tests/bench/results/<row>.json`; `python -m tests.bench.table` prints the table from these files.
Exits 1 if an aim or a baseline is missed.
"""

import json
import sys
import time
from dataclasses import asdict
from typing import Final

from shared.stubs.training.v1 import training_pb2
from tests.bench.baselines import BASELINES
from tests.bench.data import data_file, read_split, rows_digest
from tests.bench.hardware import hardware
from tests.bench.rows import OURS, RESULTS, ROWS, Arm, RowSpec, verdict
from tests.bench.served import CLIENTS, score, serving
from tests.bench.variants import compare

MOST_FLIPPED: Final = {"fp32": 0.0, "int8": 0.005}  # share of texts that batch-mates may move


def run_arm(row: RowSpec, arm: str) -> Arm:
    """Run one arm of a row: Tagsmith itself, or a baseline."""
    started = time.monotonic()
    scores = _run_tagsmith(row) if arm == OURS else asdict(BASELINES[arm](row.dataset))
    return {**scores, "seconds": round(time.monotonic() - started, 1), "hardware": hardware()}


def measured_for_another(name: str, arm: str, digest: str) -> Arm | None:
    """Return a baseline's result on the same rows that stands in another row's file: baselines know nothing of Adaptable."""
    for path in sorted(RESULTS.glob("*.json")) if arm != OURS else ():
        known = json.loads(path.read_text())
        if path.stem != name and known["rows_digest"] == digest and "tried" in known["arms"].get(arm, {}):
            found: Arm = known["arms"][arm]
            return found
    return None


def _run_tagsmith(row: RowSpec) -> Arm:
    """Train, publish and serve; the answers that many clients get must be the version's own."""
    with serving() as services:
        started = time.monotonic()
        files = {split: data_file(row.dataset, split) for split in ("train", "validation", "test")}
        dataset = services.import_rows(row.dataset.replace("_", "-"), row.task, files)
        manifest = services.train(
            training_pb2.TrainingSpec(
                model="bench",
                dataset=dataset,
                adaptable=row.adaptable,
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
        "hyperparameters": manifest.lineage.spec["hyperparameters"],
        "import_and_training_s": round(trained_s, 1),
        "clients": CLIENTS,
        **compared,
    }


def main(arguments: list[str]) -> int:
    """Run one row, or the named arms of it."""
    name, *arms = arguments
    row, path = ROWS[name], RESULTS / f"{name}.json"
    RESULTS.mkdir(exist_ok=True)
    for arm in arms or (OURS, *row.baselines):
        digest = rows_digest(row.dataset)
        result = measured_for_another(name, arm, digest) or run_arm(row, arm)
        known = json.loads(path.read_text()) if path.exists() else {}
        if known.get("rows_digest") != digest:  # other rows: nothing that was measured before compares
            known = {"row": name, "rows_digest": digest, "metric": row.metric, "aim": row.aim, "arms": {}}
        known["arms"][arm] = result
        known["verdict"] = verdict(row, known["arms"])
        path.write_text(json.dumps(known, indent=2) + "\n")
        print(f"{name}, {arm}: test {row.metric} {result['test']:.4f}; {known['verdict']}", flush=True)
    return int(known["verdict"] == "missed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
