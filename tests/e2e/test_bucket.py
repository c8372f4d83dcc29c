"""From a base of the catalogue and rows in a bucket to an answer, with the store in the bucket too: the README's commands."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.store.bucket import BucketStore
from tests.contract.store.s3_servers import BUCKET, make_bucket, moto
from tests.e2e.conftest import Run, Up
from tests.e2e.datasets import LABELS, intents_file

QUICK = ("--max-epochs", "3", "--batch-size", "8", "--dropout", "0", "--head-learning-rate", "0.02")


def ok(run: Run) -> Run:
    assert run.code == 0, run.err + run.out
    return run


@pytest.fixture
def in_bucket(tmp_path: Path, bases: Path) -> Iterator[Up]:
    """Both services with their store in a bucket, in which they may read `data/`, and rows in it."""
    with moto() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in (environment | {"TAGSMITH_TRAIN_DATASET_BUCKETS": f"s3://{BUCKET}/data"}).items():
            patch.setenv(name, value)
        make_bucket(environment, BUCKET)
        for folder in ("data", "private"):
            BucketStore(f"s3://{BUCKET}").put(f"{folder}/intents.jsonl", intents_file(tmp_path))
        running = Up(
            tmp_path / "up",
            bases,
            "--store",
            f"s3://{BUCKET}/store",
            "--train-port",
            "0",
            "--infer-port",
            "0",
        )
        try:
            yield running.wait_ready()
            assert running.stop().code == 0
        finally:
            running.process.kill()


def test_from_the_catalogue_to_an_answer(in_bucket: Up) -> None:
    """Pick a base, import from the bucket, fine-tune, deploy, predict; the version is in the bucket and nowhere else."""
    run = in_bucket.tagsmith
    known = json.loads(ok(run("bases", "--json")).out)["base_models"]
    (base,) = (each for each in known if each["available"])
    source = ("--task", "classification", "--server-path")
    dataset = ok(run("data", "import", "intents", *source, f"s3://{BUCKET}/data/intents.jsonl", "--json"))
    assert json.loads(dataset.out)["labels"] == LABELS
    ok(
        run(
            "train", "intents", "intents", "--base", base["id"], "--frozen", *QUICK, "--promote", "production"
        )
    )
    answer = json.loads(ok(run("classify", "intents", "where is my parcel", "--json")).out)
    assert answer["model_version"] == "intents@1"
    keys = list(BucketStore(f"s3://{BUCKET}/store").list_keys("models"))
    assert "models/intents/versions/0000001/manifest.json" in keys
    assert not (in_bucket.folder / "store").exists()

    for path, reason in (
        ("private/intents.jsonl", "PATH_NOT_ALLOWED"),
        ("data/../private/intents.jsonl", "PATH_NOT_ALLOWED"),
        ("data-not/intents.jsonl", "PATH_NOT_ALLOWED"),
        ("data/absent.jsonl", "FIELD_INVALID"),
    ):
        refused = run("data", "import", "other", *source, f"s3://{BUCKET}/{path}", "--json")
        assert json.loads(refused.err)["error"]["reason"] == reason
