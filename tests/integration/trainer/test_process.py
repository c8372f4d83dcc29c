"""The trainer as engines see it: a process, a folder, a journal."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from services.train.events import EVENT, Failed, Finished, PhaseStarted, Progress
from services.train.spec import Assignment
from services.train.trainer import pipeline
from services.train.trainer.__main__ import main
from shared.data.rows import Row
from shared.errors import StoreUnavailableError
from shared.names import VersionName
from shared.store.folder import FolderStore
from tests.bases import make_tiny_base
from tests.integration.trainer.world import FAST, Workplace

CANCEL_LIMIT_S = 1.0


def prepare(workplace: Workplace, assignment: Assignment) -> Path:
    """Write spec.json; return the job's folder."""
    folder = workplace.folder(assignment)
    (folder / "spec.json").write_text(assignment.model_dump_json(), "utf-8")
    return folder


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start a trainer as an engine does."""
    command = [sys.executable, "-m", "services.train.trainer", str(folder)]
    with (folder / "trainer.log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )


def events(folder: Path) -> list[PhaseStarted | Progress | Finished | Failed]:
    """Every whole line of the journal."""
    journal = folder / "events.jsonl"
    lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
    return [EVENT.validate_json(line) for line in lines]


def failure(folder: Path) -> Failed:
    """The last event, which is Failed."""
    last = events(folder)[-1]
    assert isinstance(last, Failed)
    return last


def test_a_process_trains_and_says_so(workplace: Workplace, tiny_base: Path) -> None:
    """The process walks through its phases in order, reports progress, ends with Finished, exits 0 and leaves no scratch."""
    assignment = workplace.assign(tiny_base, "entities", adaptable=True)
    folder = prepare(workplace, assignment)
    process = start(folder)
    assert process.wait(timeout=100) == 0

    told = events(folder)
    phases = [event.phase for event in told if isinstance(event, PhaseStarted)]
    assert phases == ["PREPARING", "TRAINING", "EVALUATING", "EXPORTING", "PUBLISHING"]
    progress = [event for event in told if isinstance(event, Progress)]
    assert [event.step for event in progress] == sorted(event.step for event in progress)
    assert (progress[-1].metric_name, progress[-1].total_steps) == ("span_f1", 8 * 9)
    assert isinstance(told[-1], Finished)
    manifest = workplace.models.manifest(VersionName.parse(assignment.version))
    assert "test.span_f1" in manifest.metrics
    assert manifest.lineage.base_model.digest == assignment.spec.base_digest
    assert not (folder / "scratch").exists()


def test_sigterm_ends_the_process_at_once(workplace: Workplace, tiny_base: Path) -> None:
    """In the middle of training, SIGTERM leaves no process within a second and no version ever."""
    long = FAST.model_copy(update={"max_epochs": 1000, "patience": 1000})
    assignment = workplace.assign(tiny_base, "classification", adaptable=True, hyperparameters=long)
    folder = prepare(workplace, assignment)
    process = start(folder)
    deadline = time.monotonic() + 60
    while not any(isinstance(event, Progress) for event in events(folder)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    sent = time.monotonic()
    assert process.wait(timeout=20) == -signal.SIGTERM
    assert time.monotonic() - sent < CANCEL_LIMIT_S
    version = VersionName.parse(assignment.version)
    assert version.number not in workplace.models.versions(version.model)


def test_a_loss_that_is_no_number_fails_with_a_remedy(workplace: Workplace, tmp_path: Path) -> None:
    """Weights that blow up end the job as TRAINING_DIVERGED, with the step and what to do about it."""
    base = make_tiny_base(tmp_path)
    weights = load_file(base / "model.safetensors")
    weights["encoder.layer.1.output.dense.weight"] = torch.full_like(
        weights["encoder.layer.1.output.dense.weight"], 3e38
    )
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    folder = prepare(workplace, workplace.assign(base, "classification", adaptable=True))
    assert main(folder) == 1
    told = failure(folder).failure
    assert (told.reason, told.metadata) == ("TRAINING_DIVERGED", {"step": "1"})
    assert "learning_rate" in told.message


def test_a_full_disk_while_publishing_leaves_nothing_half(
    workplace: Workplace, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever write fails, the job ends as STORE_UNAVAILABLE and the version does not exist."""
    put = FolderStore.put

    def full_at(failing: int) -> Any:
        count = 0

        def write(self: FolderStore, key: str, source: Path) -> None:
            nonlocal count
            count += 1
            if count == failing:
                raise StoreUnavailableError(
                    "the store failed to put: ENOSPC", operation="put", os_error="ENOSPC"
                )
            put(self, key, source)

        return write

    for failing in (1, 2, 3):
        folder = prepare(
            workplace, assignment := workplace.assign(tiny_base, "classification", adaptable=False)
        )
        with monkeypatch.context() as patch:
            patch.setattr(FolderStore, "put", full_at(failing))
            assert main(folder) == 1
        told = failure(folder).failure
        assert (told.reason, told.metadata["os_error"]) == ("STORE_UNAVAILABLE", "ENOSPC")
        version = VersionName.parse(assignment.version)
        assert version.number not in workplace.models.versions(version.model)


def test_a_full_disk_of_the_trainer_is_told_as_such(
    workplace: Workplace, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No room for the exported files is a full disk too, not an internal error."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pipeline, "export", full)
    folder = prepare(workplace, workplace.assign(tiny_base, "classification", adaptable=False))
    assert main(folder) == 1
    assert failure(folder).failure.reason == "STORE_UNAVAILABLE"


def test_an_unforeseen_error_tells_its_text_to_nobody(
    workplace: Workplace,
    tiny_base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Callers get an incident; the log has the incident, the place and the error's class, and not its text."""

    text = "a secret of somebody"

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(pipeline, "export", fail)
    folder = prepare(workplace, workplace.assign(tiny_base, "classification", adaptable=False))
    assert main(folder) == 1
    told = failure(folder).failure
    log = capsys.readouterr().err
    assert told.reason == "INTERNAL"
    assert "secret" not in told.model_dump_json()
    assert told.metadata["incident"] in log
    assert "RuntimeError" in log
    assert "pipeline.py" in log
    assert text not in log


def test_a_dataset_that_cannot_be_used_is_told_with_every_problem(
    workplace: Workplace, tiny_base: Path
) -> None:
    """One class only, and a label that train lacks: both are problems, each with its place."""
    rows = {
        "train": [Row(f"my card {i}", label="billing") for i in range(9)],
        "validation": [Row("my login", label="access")],
    }
    assignment = workplace.assign(tiny_base, "classification", adaptable=False, rows=rows)  # type: ignore[arg-type]
    folder = prepare(workplace, assignment)
    assert main(folder) == 1
    told = failure(folder).failure
    assert told.reason == "DATASET_INVALID"
    assert {problem.field for problem in told.problems} == {"train", "validation:1"}


@pytest.mark.parametrize("change", ["the weights are gone", "other weights of the same shape", "a word more"])
def test_a_base_that_changed_since_the_job_was_accepted_is_named(
    change: str, workplace: Workplace, tmp_path: Path
) -> None:
    """A job learns from the base that it was accepted with or from none: any other file fails as BASE_MODEL_NOT_FOUND."""
    base = make_tiny_base(tmp_path)
    folder = prepare(workplace, workplace.assign(base, "classification", adaptable=False))
    if change == "the weights are gone":
        (base / "model.safetensors").unlink()
    elif change == "a word more":
        with (base / "tokenizer.json").open("a") as tokenizer:
            tokenizer.write(" ")
    else:
        other = make_tiny_base(tmp_path / "other", seed=1)
        (other / "model.safetensors").replace(base / "model.safetensors")
    assert main(folder) == 1
    told = failure(folder).failure
    assert (told.reason, told.metadata) == ("BASE_MODEL_NOT_FOUND", {"base_model": "tiny-bert"})
    assert "accepted" in told.message


def test_a_base_without_a_layer_is_named(workplace: Workplace, tmp_path: Path) -> None:
    """A base some of whose weights are missing fails as BASE_MODEL_NOT_FOUND; nothing is trained from noise."""
    base = make_tiny_base(tmp_path)
    weights = load_file(base / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if ".layer.1." not in name}
    save_file(kept, base / "model.safetensors", metadata={"format": "pt"})
    folder = prepare(workplace, workplace.assign(base, "classification", adaptable=False))
    assert main(folder) == 1
    told = failure(folder).failure
    assert (told.reason, told.metadata) == ("BASE_MODEL_NOT_FOUND", {"base_model": "tiny-bert"})
