"""The local engine with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from services.train.engines.local import LocalEngine, LocalTrainer
from services.train.engines.port import UNWATCHED, Exit, Handle, Trainer
from tests.integration.train_service.harness import ROOT, wait_for

Start = Callable[[str], tuple[LocalTrainer, Handle]]

SHELL = ("/bin/sh", "-c")
WRITE = 'echo ran > "$0/ran"; '
SLEEP = 'exec 2>&1; touch "$0/ran"; exec sleep 30'
STUBBORN = (
    'trap "" TERM; (trap "" TERM; while :; do sleep 0.1; done) & touch "$0/ran"; while :; do sleep 0.1; done'
)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Start]:
    """Start a shell script as a trainer; `$0` is its folder. Nothing of it is left after the test."""
    trainers: list[LocalTrainer] = []

    def start(script: str) -> tuple[LocalTrainer, Handle]:
        handles: list[Handle] = []
        trainers.append(LocalEngine((*SHELL, script)).start(tmp_path, handles.append))
        return trainers[-1], handles[0]

    yield start
    for trainer in trainers:
        trainer.stop(grace_s=0)


def end_of(trainer: Trainer) -> Exit:
    """Wait for a trainer's end."""
    return wait_for(trainer.poll, what="the trainer's end", timeout_s=10)


def wait_until_it_runs(folder: Path) -> None:
    """Wait for the script's first act."""
    wait_for((folder / "ran").exists, what="the trainer to run", timeout_s=10)


def test_a_trainer_runs_in_a_session_of_its_own(started: Start, tmp_path: Path) -> None:
    """A trainer gets its folder, leads its own session, reads nothing, and prints into trainer.log."""
    trainer, handle = started(
        'echo "$0"; cat; echo trouble >&2; touch "$0/ran"; read -r _ <"$0/wait"; exit 7'
    )
    os.mkfifo(tmp_path / "wait")
    wait_until_it_runs(tmp_path)
    assert os.getsid(int(handle["pid"])) == handle["pid"]
    (tmp_path / "wait").write_text("go\n")
    assert end_of(trainer) == Exit(code=7)
    assert (tmp_path / "trainer.log").read_text().split() == [str(tmp_path), "trouble"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_trainers_signal_is_known(started: Start, tmp_path: Path, number: signal.Signals) -> None:
    """A trainer that a signal ended says which."""
    trainer, handle = started(SLEEP)
    wait_until_it_runs(tmp_path)
    os.kill(int(handle["pid"]), number)
    assert end_of(trainer) == Exit(signal=number.name)


def test_a_trainer_without_a_record_never_runs(tmp_path: Path) -> None:
    """Where the handle cannot be written down the trainer ends before its first instruction."""
    pids: list[int] = []

    def fail(handle: Handle) -> None:
        pids.append(int(handle["pid"]))
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        LocalEngine((*SHELL, WRITE)).start(tmp_path, fail)
    assert not psutil.pid_exists(pids[0])
    assert not (tmp_path / "ran").exists()


def test_a_service_that_dies_before_the_record_leaves_no_trainer(tmp_path: Path) -> None:
    """A service that is killed between starting a trainer and writing its handle down takes the trainer with it."""
    code = (
        "import os, pathlib, signal, sys; from services.train.engines.local import LocalEngine;"
        "die = lambda handle: (print(handle['pid'], flush=True), os.kill(os.getpid(), signal.SIGKILL));"
        f"LocalEngine(('/bin/sh', '-c', {WRITE!r})).start(pathlib.Path(sys.argv[1]), die)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    pid = int(ended.stdout)
    wait_for(lambda: not _lives(pid), what="the waiting shell to end", timeout_s=10)
    assert not (tmp_path / "ran").exists()


def test_a_stubborn_family_is_killed(started: Start, tmp_path: Path) -> None:
    """Where trainer and child ignore SIGTERM, both are killed after the grace, and not before."""
    trainer, handle = started(STUBBORN)
    wait_until_it_runs(tmp_path)
    family = _session(int(handle["pid"]))
    assert len(family) >= 2
    started_s = time.monotonic()
    assert trainer.stop(grace_s=0.5)
    assert 0.5 <= time.monotonic() - started_s < 3
    assert not [each for each in family if _lives(each.pid)]
    assert trainer.poll() == Exit(signal="SIGKILL")


def test_a_trainer_that_obeys_is_not_killed(started: Start, tmp_path: Path) -> None:
    """A trainer that ends on SIGTERM ends at once and by SIGTERM."""
    trainer, _ = started(SLEEP)
    wait_until_it_runs(tmp_path)
    started_s = time.monotonic()
    assert trainer.stop(grace_s=5)
    assert time.monotonic() - started_s < 2
    assert trainer.poll() == Exit(signal="SIGTERM")


def test_a_stopped_process_is_killed_too(started: Start, tmp_path: Path) -> None:
    """A trainer that SIGSTOP holds, and that thus never sees SIGTERM, is gone after the grace."""
    trainer, handle = started(SLEEP)
    wait_until_it_runs(tmp_path)
    os.kill(int(handle["pid"]), signal.SIGSTOP)
    assert trainer.stop(grace_s=0.2)


def test_a_living_trainer_is_adopted(started: Start, tmp_path: Path) -> None:
    """A handle finds the living trainer; what it started is found, too, and both can be stopped."""
    trainer, handle = started(STUBBORN)
    wait_until_it_runs(tmp_path)
    adopted = LocalEngine().adopt(handle, tmp_path)
    assert adopted.poll() is None
    family = _session(int(handle["pid"]))
    adopted.stop(grace_s=0)
    trainer.poll()  # the zombie is its real parent's to reap
    assert not [each for each in family if _lives(each.pid)]
    assert adopted.poll() == UNWATCHED


def test_a_dead_trainers_child_is_found(started: Start, tmp_path: Path) -> None:
    """Of a trainer that is gone when it is adopted, what it left behind is ended."""
    trainer, handle = started(STUBBORN)
    wait_until_it_runs(tmp_path)
    os.kill(int(handle["pid"]), signal.SIGKILL)
    end_of(trainer)
    assert _session(int(handle["pid"]))
    adopted = LocalEngine().adopt(handle, tmp_path)
    assert adopted.poll() == UNWATCHED
    assert adopted.stop(grace_s=0)
    assert not _session(int(handle["pid"]))


def test_a_stranger_with_the_same_id_is_left_alone(tmp_path: Path) -> None:
    """A process that has a dead trainer's id, started at another time, is neither adopted nor stopped, nor is its session."""
    with subprocess.Popen(["sleep", "30"], start_new_session=True) as stranger:
        start_s = psutil.Process(stranger.pid).create_time() - psutil.boot_time() - 60
        adopted = LocalEngine().adopt({"pid": stranger.pid, "start_s": start_s}, tmp_path)
        assert adopted.poll() == UNWATCHED
        assert adopted.stop(grace_s=0)
        assert stranger.poll() is None
        stranger.kill()


def _session(sid: int) -> list[psutil.Process]:
    return [each for each in psutil.process_iter() if _lives(each.pid) and os.getsid(each.pid) == sid]


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_python_is_the_default_trainer() -> None:
    """By default the trainer is this installation's own program."""
    assert LocalEngine()._command == (sys.executable, "-m", "services.train.trainer")


def test_stopping_waits_for_a_process_whose_threads_are_ending(
    started: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a process is a zombie, so none of its session lives, yet it cannot be reaped: stopping is not done before that."""
    trainer, _ = started('touch "$0/ran"; sleep 0.4')
    wait_until_it_runs(tmp_path)
    monkeypatch.setattr(trainer, "_processes", lambda: iter(()))
    assert trainer.stop(grace_s=5)
    assert trainer.poll() is not None
