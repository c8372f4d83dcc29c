"""Jobs as their owner handles them: ended early, looked into, trained anew and taken live."""

import json
import time
from pathlib import Path

from tests.e2e.conftest import Run, Up
from tests.e2e.datasets import intents_file

QUICK = ("--frozen", "--max-epochs", "2", "--batch-size", "32")
ENDLESS = ("--frozen", "--max-epochs", "1000", "--patience", "1000", "--batch-size", "1")


def ok(run: Run) -> Run:
    assert run.code == 0, run.err + run.out
    return run


def record(run: Run) -> dict:
    """The one JSON document that a command printed."""
    return json.loads(ok(run).out)


def import_rows(up: Up, folder: Path, *endings: str) -> None:
    file = intents_file(folder, endings=("", *endings))
    ok(up.tagsmith("data", "import", "handled", file, "--task", "classification"))


def test_a_job_is_stopped_and_another_one_goes_live(up: Up, tmp_path: Path) -> None:
    """One command ends a training, whose best so far is published, with a log and a history; another takes new rows to the server that it names."""
    import_rows(up, tmp_path, " please", " with it!")
    ok(up.tagsmith("train", "handled", "handled", *QUICK, "--promote", "production"))
    stopped = record(up.tagsmith("train", "handled", "handled", *ENDLESS, "--detach", "--json"))["id"]
    import_rows(up, tmp_path, " please", " today")
    retrain = ("retrain", "handled", "--inference-target", up.environment["TAGSMITH_INFER_ADDRESS"])
    retrain = (*retrain, "--request-id", "nightly")
    job = record(up.tagsmith(*retrain, "--detach", "--json"))

    give_up = time.monotonic() + 60
    while "TRAINING" not in (jobs := ok(up.tagsmith("jobs", "--model", "handled")).out):
        assert time.monotonic() < give_up, jobs
        time.sleep(0.5)
    assert "QUEUED (0 ahead" in jobs
    assert record(up.tagsmith("stop", stopped, "--json"))["stop_requested"]
    watched = ok(up.tagsmith("watch", stopped))
    assert "handled@2 published from a training that was ended early" in watched.out
    assert watched.err.splitlines()[-1].startswith("handled STOPPED")
    kinds = [each["kind"] for each in record(up.tagsmith("events", stopped, "--json"))["events"]]
    assert kinds[:2] == ["ACCEPTED", "ATTEMPT_STARTED"]
    assert kinds.index("STOP_REQUESTED") < kinds.index("STOPPED_EARLY")
    assert kinds[-1] == "ENDED"
    log = up.folder / "state" / "jobs" / stopped / "attempts" / "0001" / "trainer.log"
    printed = ok(up.tagsmith("logs", stopped, "-f")).out
    assert printed == log.read_text("utf-8")
    assert (
        printed.index(" PREPARING\n")
        < printed.index("training ended early, at step ")
        < printed.index(" done\n")
    )

    live = ok(up.tagsmith(*retrain))  # the same job: its end is waited for now
    assert live.err.startswith(f"{job['id']}: handled@3 from handled@")
    assert "handled@3 published" in live.out
    assert job["spec"]["hyperparameters"]["max_epochs"] == 2  # as of the version that was live
    answer = record(up.tagsmith("classify", "handled", "where is my parcel", "--json"))
    assert answer["model_version"] == "handled@3"


def test_a_failed_job_says_why(up: Up, tmp_path: Path) -> None:
    """Rows that prove nothing end a job; its error, which names them, stands on stderr and no log beside it."""
    rows = [{"text": f"where is my {n}", "label": "ab"[n % 2], "split": "train"} for n in range(40)]
    file = tmp_path / "leaks.jsonl"
    file.write_text("\n".join(json.dumps(row) for each in rows for row in (each, {**each, "split": "test"})))
    ok(up.tagsmith("data", "import", "leaks", file, "--task", "classification"))
    failed = up.tagsmith("train", "leaks", "leaks", *QUICK)
    assert failed.code == 1
    said = failed.err.splitlines()
    error = next(number for number, line in enumerate(said) if line.startswith("error: DATASET_INVALID: "))
    assert said[error - 1].startswith("leaks FAILED")
    assert said[error + 1] == "  test:1: stands in train too"
