"""Trainers as processes of this machine, each in a session of its own.

Invariant: a trainer whose handle is not on record never runs. It waits for a line on its standard input, which the service sends
once the handle is written down; a service that dies before closes the pipe, and the trainer ends. After that line its lifeline ends it with the
service. What a dead one left behind, the next service over the same folder finds by the handle and ends.

A handle is a process id and the process's start, in seconds since boot, which no later process with the same id shares, and the service's name, since
process ids mean something on its machine only. What a trainer started in turn is known by its session and by the attempt's folder in its
environment, both of which children inherit.

Each LocalTrainer is used from one thread at a time.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from services.train.engines.lifeline import SERVICE_PID
from services.train.engines.port import ELSEWHERE, UNWATCHED, Exit, Handle

TRAINER_COMMAND = (sys.executable, "-m", "services.train.trainer")

_MARK = "TAGSMITH_TRAINER_FOLDER"
# A thread of torch that waits for another spins by default. On cores that others use too, or under a CPU quota, a job of two
# threads was measured to be eight times slower for it; where the cores are its own, spinning gains little.
_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}
_KILL_WAIT_S = 2.0
_POLL_INTERVAL_S = 0.02
_START_TOLERANCE_S = 1.5  # the kernel's boot time has whole seconds and may be seen on both sides of one
# `exec` keeps the process id and the start time, so that the handle of the waiting shell is the trainer's.
_WAIT_FOR_RECORD = 'read -r _ && exec "$@" </dev/null'


class LocalEngine:
    """Starts trainers with `command <job folder>`."""

    is_shared = False

    def __init__(self, command: Sequence[str] = TRAINER_COMMAND, *, owner: str = "") -> None:
        """`command` is the trainer program; the folder is added as its last argument. `owner` is the service's name."""
        self._command = tuple(command)
        self._owner = owner

    def start(self, folder: Path, on_record: Callable[[Handle], object]) -> "LocalTrainer":
        """See Engine.start. What the trainer prints goes to `trainer.log` in its folder."""
        with (folder / "trainer.log").open("ab") as log:
            child = subprocess.Popen(
                ["/bin/sh", "-c", _WAIT_FOR_RECORD, "trainer", *self._command, str(folder)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**_ENVIRONMENT, **os.environ, _MARK: str(folder), SERVICE_PID: str(os.getpid())},
                start_new_session=True,
            )
        assert child.stdin is not None  # noqa: S101  # for the type checker: stdin=PIPE
        try:
            on_record(
                {"pid": child.pid, "start_s": _start_s(psutil.Process(child.pid)), "owner": self._owner}
            )
        except BaseException:
            child.stdin.close()  # the shell reads the end of its input and ends
            child.wait()
            raise
        with suppress(BrokenPipeError):  # killed while it waited; poll tells how
            child.stdin.write(b"go\n")
            child.stdin.close()
        return LocalTrainer(child.pid, folder, child=child)

    def adopt(self, handle: Handle, folder: Path) -> "LocalTrainer | Elsewhere":
        """See Engine.adopt. The trainer of another service, which has lost its job, is out of reach."""
        if handle.get("owner", self._owner) != self._owner:
            return Elsewhere()
        pid = int(handle["pid"])
        return LocalTrainer(pid, folder, start_s=float(handle["start_s"]))


class Elsewhere:
    """A trainer that runs, if it does, on another machine: the store keeps it from publishing, and its own service ends it."""

    def poll(self) -> Exit | None:
        """See Trainer.poll: for the job it is over."""
        return ELSEWHERE

    def stop(self, *, grace_s: float) -> bool:
        """See Trainer.stop: nothing of it is here."""
        return True


class LocalTrainer:
    """One trainer process and all that it started."""

    def __init__(
        self,
        pid: int,
        folder: Path,
        *,
        child: subprocess.Popen[bytes] | None = None,
        start_s: float | None = None,
    ) -> None:
        """A process of our own (`child`), or one that another service started at `start_s`."""
        self._pid = pid
        self._folder = folder
        self._child = child
        self._start_s = start_s
        self._seen_alive = child is not None

    def poll(self) -> Exit | None:
        """See Trainer.poll."""
        if self._child is not None:
            returncode = self._child.poll()
            return None if returncode is None else Exit.of_returncode(returncode)
        try:
            process = psutil.Process(self._pid)
            same = self._start_s is not None and abs(_start_s(process) - self._start_s) < _START_TOLERANCE_S
            alive = same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            alive = False
        self._seen_alive |= alive
        return None if alive else UNWATCHED

    def stop(self, *, grace_s: float) -> bool:
        """See Trainer.stop: SIGTERM to every process of it, then SIGKILL."""
        for process in self._processes():
            _send(process, signal.SIGTERM)
        kill_time_s = time.monotonic() + grace_s
        # A process whose threads are still ending is a zombie already, but cannot be reaped yet.
        while (processes := list(self._processes())) or self.poll() is None:
            if time.monotonic() > kill_time_s + _KILL_WAIT_S:
                return False
            if time.monotonic() >= kill_time_s:
                for process in processes:
                    _send(process, signal.SIGKILL)
            time.sleep(_POLL_INTERVAL_S)
        return True

    def _processes(self) -> Iterator[psutil.Process]:
        """Yield every living process of the trainer's session.

        The session of a trainer that was seen alive is its own. Where it had ended before it was adopted, its id may be another's
        by now, so its processes are told by the folder in their environment.
        """
        if self.poll() is not None:  # which reaps our own child
            self._reap_orphans()
        for pid in psutil.pids():
            try:
                if os.getsid(pid) != self._pid:
                    continue
                process = psutil.Process(pid)
                ours = self._seen_alive or process.environ().get(_MARK) == str(self._folder)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    yield process
            except (ProcessLookupError, PermissionError, psutil.NoSuchProcess, psutil.AccessDenied):
                continue  # gone meanwhile, or another user's

    def _reap_orphans(self) -> None:
        """Reap what our child started and left, where that has become our own: the service is process 1 of its container."""
        with suppress(ChildProcessError):
            while os.waitpid(-self._pid, os.WNOHANG) != (0, 0):
                pass


def _start_s(process: psutil.Process) -> float:
    """The process's start in seconds since boot: stays true when the wall clock is set."""
    return round(process.create_time() - psutil.boot_time(), 2)


def _send(process: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)  # checks that the id still is this process's
