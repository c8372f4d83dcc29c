"""`tagsmith up`: both services or none, and nothing left behind."""

import json
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import Up
from tests.e2e.datasets import intents_file

ANY = ("--train-port", "0", "--infer-port", "0")


@pytest.mark.parametrize("option", ["--train-port", "--infer-port"])
def test_a_taken_port_is_named_and_nothing_stays(tmp_path: Path, bases: Path, option: str) -> None:
    """A port that another process has: exit code 1, the service and the port in the message, both services gone."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = Up(tmp_path / "data", bases, *ANY, option, str(port))
        run = up.wait_end(60)

    assert run.code == 1
    assert f"127.0.0.1:{port}" in run.out
    assert "SERVICE_ENDED" in run.out
    assert "Traceback" not in run.out
    assert up.processes() == []


def test_when_one_service_dies_up_says_which_and_ends(tmp_path: Path, bases: Path) -> None:
    """A killed service is named, the other one is stopped, and the exit code is 1."""
    up = Up(tmp_path / "data", bases, *ANY).wait_ready()
    next(each for each in up.processes() if "services.infer" in each.cmdline()).kill()
    run = up.wait_end()

    assert run.code == 1
    assert "the inference service was ended by SIGKILL [" in run.out
    assert up.processes() == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
def test_a_killed_up_leaves_no_process(tmp_path: Path, bases: Path) -> None:
    """SIGKILL, which `up` cannot act on, ends both services in good order too."""
    up = Up(tmp_path / "data", bases, *ANY).wait_ready()
    assert len(up.processes()) == 2
    assert up.stop(signal.SIGKILL).code == -signal.SIGKILL

    psutil.wait_procs(up.processes(), timeout=15)
    assert up.processes() == []
    assert '"stopped"' in (tmp_path / "data" / "logs" / "train.log").read_text()


def test_stopping_up_during_a_training_leaves_no_process(tmp_path: Path, bases: Path) -> None:
    """Ctrl-C while a job trains: exit code 0, and neither service nor trainer is left."""
    up = Up(tmp_path / "data", bases, *ANY).wait_ready()
    assert (
        up.tagsmith("data", "import", "intents", intents_file(tmp_path), "--task", "classification").code == 0
    )
    run = up.tagsmith(
        "train", "intents", "intents", "--max-epochs", "1000", "--patience", "1000", "--detach", "--json"
    )
    assert json.loads(run.out)["state"] == "QUEUED"
    while not any("services.train.trainer" in each.cmdline() for each in up.processes()):
        assert up.process.poll() is None

    run = up.stop(signal.SIGINT)

    assert run.code == 0
    assert up.processes() == []
