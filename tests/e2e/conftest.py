"""Both services, as a user starts them: `tagsmith up` in a process of its own, on a tiny base, over real sockets."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.bases import make_tiny_base

_START_S = 60
_ADDRESS = re.compile(r"(training|inference) service +(\S+)")


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    code: int
    out: str
    err: str


class Up:
    """A running `tagsmith up`."""

    def __init__(self, folder: Path, bases: Path, *options: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, "TAGSMITH_BASES_DIR": str(bases), "OMP_NUM_THREADS": "1"}
        self.output = folder.parent / f"{folder.name}.out"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "up", "--folder", str(folder), *options],
            stdin=subprocess.DEVNULL,
            stdout=self.output.open("wb"),
            stderr=subprocess.STDOUT,
            env=self.environment,
        )

    def wait_ready(self) -> "Up":
        """Wait for its addresses and put them where commands look."""
        give_up = time.monotonic() + _START_S
        while "Ctrl-C stops both" not in (said := self.output.read_text()):
            assert self.process.poll() is None, said
            assert time.monotonic() < give_up, said
            time.sleep(0.05)
        addresses = dict(_ADDRESS.findall(said))
        self.environment["TAGSMITH_TRAIN_ADDRESS"] = addresses["training"]
        self.environment["TAGSMITH_INFER_ADDRESS"] = addresses["inference"]
        return self

    def wait_end(self, timeout_s: float = 30) -> Run:
        """Wait for its end."""
        return Run(self.process.wait(timeout_s), self.output.read_text(), "")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> Run:
        """Stop it as a terminal or an init system would."""
        self.process.send_signal(number)
        return self.wait_end()

    def processes(self) -> list[psutil.Process]:
        """Every living process that works in its folder, itself apart."""
        return [
            each for each in psutil.process_iter() if each.pid != self.process.pid and self._works_here(each)
        ]

    def tagsmith(self, *arguments: str | Path, stdin: bytes = b"") -> Run:
        """Run a command against it."""
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            env=self.environment,
            cwd=self.folder.parent,
            timeout=110,
            check=False,
        )
        return Run(done.returncode, done.stdout.decode(), done.stderr.decode())

    def _works_here(self, process: psutil.Process) -> bool:
        try:
            environment = process.environ()
            return (
                str(self.folder) in environment.get("TAGSMITH_STORE", "")
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bases in which the default base is a tiny one."""
    folder = tmp_path_factory.mktemp("bases")
    make_tiny_base(folder).rename(folder / "all-minilm-l6-v2")
    return folder


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory, bases: Path) -> Iterator[Up]:
    """One pair of services for all tests that share them."""
    running = Up(tmp_path_factory.mktemp("up") / "data", bases, "--train-port", "0", "--infer-port", "0")
    try:
        yield running.wait_ready()
        run = running.stop()
        assert run.code == 0, run.out
        assert running.processes() == []
    finally:
        running.process.kill()
