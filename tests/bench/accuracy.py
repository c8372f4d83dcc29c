"""Accuracy on real data, through the services: import, train, publish, serve, ask over gRPC; and the baselines on the same rows.

`python -m tests.bench.accuracy banking77-adaptable` runs one row of the README's table, `... banking77-adaptable tagsmith` only
one arm of it. Results stand in `tests/bench/results/<row>.json`; `python -m tests.bench.table` prints the table from these files.
Exits 1 if an aim or a baseline is missed.
"""

import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import grpc

from services.cli.up import running_services
from shared.data.rows import Span
from shared.stubs.inference.v1 import inference_pb2, inference_pb2_grpc
from shared.stubs.registry.v1 import registry_pb2, registry_pb2_grpc
from shared.stubs.training.v1 import training_pb2, training_pb2_grpc
from tests.bench.baselines import BASELINES
from tests.bench.data import data_file, read_split, rows_digest
from tests.bench.rows import OURS, RESULTS, ROWS, Arm, RowSpec, verdict

CLIENTS = 16


def run_arm(row: RowSpec, arm: str) -> Arm:
    """Run one arm of a row: Tagsmith itself, or a baseline."""
    started = time.monotonic()
    scores = _run_tagsmith(row) if arm == OURS else asdict(BASELINES[arm](row.dataset))
    return {**scores, "seconds": round(time.monotonic() - started, 1), "hardware": _hardware()}


def measured_for_another(name: str, arm: str, digest: str) -> Arm | None:
    """Return a baseline's result on the same rows that stands in another row's file: baselines know nothing of Adaptable."""
    for path in sorted(RESULTS.glob("*.json")) if arm != OURS else ():
        known = json.loads(path.read_text())
        if path.stem != name and known["rows_digest"] == digest and "tried" in known["arms"].get(arm, {}):
            found: Arm = known["arms"][arm]
            return found
    return None


def _run_tagsmith(row: RowSpec) -> Arm:
    """Train, publish and serve; the answers that 16 clients get must give the manifest's own numbers."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_services(Path(folder), train_port=0, infer_port=0) as services,
    ):
        train = grpc.insecure_channel(services.train_address)
        infer = grpc.insecure_channel(services.infer_address)
        started = time.monotonic()
        dataset = _import(train, row)
        job = _train(train, row, dataset.name)
        trained_s = time.monotonic() - started
        version = registry_pb2_grpc.RegistryServiceStub(train).GetModelVersion(
            registry_pb2.GetModelVersionRequest(model_version=job.model_version)
        )
        manifest = json.loads(version.manifest_json)
        test = manifest["evaluations"]["test"]
        served = _ask_everything(infer, job.model_version, row)
    if row.task == training_pb2.CLASSIFICATION:
        if served != {(true, answered): count for true, answered, count in test["confusion"]}:
            sys.exit("the served answers do not give the manifest's confusion table")
    elif abs(served - test["metrics"]["span_f1"]) > 1e-9:
        sys.exit(f"served span F1 {served} is not the manifest's {test['metrics']['span_f1']}")
    return {
        "name": "Tagsmith",
        "base_model": manifest["lineage"]["base_model"]["id"],
        "dataset": dataset.name,
        "row_count": test["row_count"],
        "validation": manifest["evaluations"]["validation"]["metrics"][row.metric],
        "test": test["metrics"][row.metric],
        "metrics": test["metrics"],
        "hyperparameters": manifest["lineage"]["spec"]["hyperparameters"],
        "import_and_training_s": round(trained_s, 1),
        "clients": CLIENTS,
        "served_as_evaluated": True,  # or the command would have ended above
    }


def _import(channel: grpc.Channel, row: RowSpec) -> training_pb2.Dataset:
    def parts() -> Any:
        for split in ("train", "validation", "test"):
            path = data_file(row.dataset, split)
            header = training_pb2.ImportFileHeader(
                dataset=row.dataset.replace("_", "-"),
                file_name=path.name,
                split=training_pb2.Split.Value(split.upper()),
                task=row.task,
            )
            yield training_pb2.ImportDatasetRequest(header=header)
            data = path.read_bytes()
            for start in range(0, len(data), 1 << 20):
                yield training_pb2.ImportDatasetRequest(chunk=data[start : start + (1 << 20)])

    return training_pb2_grpc.TrainingServiceStub(channel).ImportDataset(parts())


def _train(channel: grpc.Channel, row: RowSpec, dataset: str) -> training_pb2.TrainingJob:
    stub = training_pb2_grpc.TrainingServiceStub(channel)
    spec = training_pb2.TrainingSpec(model="bench", dataset=dataset, adaptable=row.adaptable)
    job = stub.CreateTrainingJob(training_pb2.CreateTrainingJobRequest(spec=spec, promote_to="production"))
    epoch = 0
    for job in stub.WatchTrainingJob(training_pb2.WatchTrainingJobRequest(id=job.id)):  # noqa: B020  # the newest snapshot
        if job.progress.epoch != epoch:
            epoch = job.progress.epoch
            print(
                f"  epoch {epoch}: best {job.progress.metric_name} {job.progress.best_metric:.4f}",
                file=sys.stderr,
                flush=True,
            )
    if job.state != training_pb2.TrainingJob.SUCCEEDED:
        sys.exit(f"the job ended {training_pb2.TrainingJob.State.Name(job.state)}: {job.error.message}")
    return job


def _ask_everything(channel: grpc.Channel, version: str, row: RowSpec) -> Any:
    """Send the whole test split from CLIENTS threads in random call sizes; return the confusion table, or the span F1."""
    rows = read_split(row.dataset, "test")
    stub = inference_pb2_grpc.InferenceServiceStub(channel)
    dice, calls, start = random.Random(13), [], 0  # noqa: S311  # sizes of calls, no secret
    while start < len(rows.texts):
        size = dice.randint(1, 32)
        calls.append((start, rows.texts[start : start + size]))
        start += size

    def ask(call: tuple[int, list[str]]) -> tuple[int, list[Any]]:
        first, texts = call
        if row.task == training_pb2.CLASSIFICATION:
            request = inference_pb2.ClassifyRequest(model=version, texts=texts, top_k=1)
            results = stub.Classify(request, wait_for_ready=True, timeout=120).results
            return first, [result.classification.labels[0].label for result in results]
        entities = stub.ExtractEntities(
            inference_pb2.ExtractEntitiesRequest(model=version, texts=texts), wait_for_ready=True, timeout=120
        )
        return first, [
            [Span(each.start, each.end, each.label) for each in result.entities.entities]
            for result in entities.results
        ]

    _wait_loaded(stub, version, row.task)
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = [
            answer for _, part in sorted(pool.map(ask, calls), key=lambda each: each[0]) for answer in part
        ]
    if row.task == training_pb2.CLASSIFICATION:
        return dict(Counter(zip(rows.labels, answers, strict=True)))
    true = {(i, span) for i, spans in enumerate(rows.entities or ()) for span in spans}
    answered = {(i, span) for i, spans in enumerate(answers) for span in spans}
    return 2 * len(true & answered) / (len(true) + len(answered))


def _wait_loaded(stub: inference_pb2_grpc.InferenceServiceStub, version: str, task: int) -> None:
    for _ in range(600):
        try:
            if task == training_pb2.CLASSIFICATION:
                request = inference_pb2.ClassifyRequest(model=version, texts=["hello"])
                stub.Classify(request, wait_for_ready=True)
            else:
                question = inference_pb2.ExtractEntitiesRequest(model=version, texts=["hello"])
                stub.ExtractEntities(question, wait_for_ready=True)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            return
        time.sleep(0.1)
    sys.exit(f"{version} was not loaded within a minute")


def _hardware() -> str:
    model = subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout
    cpu = next(
        (line.split(":", 1)[1].strip() for line in model.splitlines() if line.startswith("Model name")), "CPU"
    )
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {cpu}, {platform.system()}, no GPU"


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
