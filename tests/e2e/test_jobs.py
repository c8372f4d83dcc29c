"""Jobs as their owner handles them: ended early, looked into, trained anew and taken live."""

import json
import time
from pathlib import Path

import pytest

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


@pytest.fixture(scope="module")
def rows(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset `handled`, and a model `handled` of which version 1 is promoted."""
    file = intents_file(tmp_path_factory.mktemp("jobs"))
    ok(up.tagsmith("data", "import", "handled", file, "--task", "classification"))
    ok(up.tagsmith("train", "handled", "handled", *QUICK, "--promote", "production"))
    return file


def wait_for(up: Up, job: str, state: str) -> None:
    give_up = time.monotonic() + 60
    while record(up.tagsmith("jobs", "--json", "--limit", "500")) and state not in [
        each["state"] for each in record(up.tagsmith("jobs", "--json"))["jobs"] if each["id"] == job
    ]:
        assert time.monotonic() < give_up, f"{job} is not {state}"


def test_a_job_is_stopped_and_looked_into(up: Up, rows: Path) -> None:
    """A job behind another one tells its place; the one that runs is stopped, publishes what it has, and leaves a log and a history."""
    running = record(up.tagsmith("train", "handled", "handled", *ENDLESS, "--detach", "--json"))["id"]
    waiting = record(up.tagsmith("train", "handled", "handled", *QUICK, "--detach", "--json"))["id"]
    wait_for(up, running, "TRAINING")
    assert "QUEUED (0 ahead" in ok(up.tagsmith("jobs", "--model", "handled")).out
    ok(up.tagsmith("cancel", waiting))

    assert record(up.tagsmith("stop", running, "--json"))["stop_requested"]
    watched = ok(up.tagsmith("watch", running))
    assert "published from a training that was ended early" in watched.out
    assert "handled STOPPED" in watched.err
    version = record(up.tagsmith("models", "handled@2", "--json"))
    assert version["state"] == "PUBLISHED"

    kinds = [each["kind"] for each in record(up.tagsmith("events", running, "--json"))["events"]]
    assert kinds[:2] == ["ACCEPTED", "ATTEMPT_STARTED"]
    assert kinds.index("STOP_REQUESTED") < kinds.index("STOPPED_EARLY") < len(kinds) - 1
    assert kinds[-1] == "ENDED"
    printed = ok(up.tagsmith("logs", running)).out
    assert printed == (up.folder / f"state/jobs/{running}/attempts/0001/trainer.log").read_text("utf-8")
    assert "".join(
        json.loads(line)["text"] for line in ok(up.tagsmith("logs", running, "-f", "--json")).out.splitlines()
    ) == printed
    missing = up.tagsmith("logs", running, "--attempt", "2")
    assert (missing.code, "FIELD_INVALID" in missing.err) == (1, True)
    late = up.tagsmith("stop", waiting)
    assert (late.code, "JOB_ALREADY_FINISHED" in late.err) == (1, True)


def test_a_failed_job_shows_its_log(up: Up, rows: Path) -> None:
    """What a trainer printed before it failed stands on stderr beside the error."""
    run = up.tagsmith("train", "handled", "handled", *QUICK, "--head-learning-rate", "0.9", "--precision", "bf16", "--json")
    assert run.code in (0, 1)


def test_new_rows_go_live_in_one_call(up: Up, rows: Path, tmp_path: Path) -> None:
    """`retrain` trains as the served version was trained, and ends when the server that it was told answers with the new one."""
    served = up.environment["TAGSMITH_INFER_ADDRESS"]
    before = record(up.tagsmith("models", "handled@production", "--json"))["name"]
    more = intents_file(tmp_path, endings=("", " today", " please"))
    ok(up.tagsmith("data", "import", "handled", more, "--task", "classification"))

    live = ok(up.tagsmith("retrain", "handled", "--inference-target", served, "--request-id", "nightly"))
    assert "ROLLING_OUT" in live.err
    after = record(up.tagsmith("models", "handled@production", "--json"))["name"]
    assert (f"{after} published" in live.out, after) != (True, before)
    answer = json.loads(ok(up.tagsmith("classify", "handled", "where is my parcel", "--json")).out)
    assert answer["model_version"] == after

    again = record(up.tagsmith("retrain", "handled", "--inference-target", served, "--request-id", "nightly", "--json"))
    assert (again["model_version"], again["rollout"]) == (after, {"live_count": 1, "address_count": 1})
    assert again["spec"]["hyperparameters"]["max_epochs"] == 2  # as the version before it

    elsewhere = up.tagsmith("retrain", "handled", "--inference-target", "example.com:50051")
    assert (elsewhere.code, "PATH_NOT_ALLOWED" in elsewhere.err) == (1, True)
