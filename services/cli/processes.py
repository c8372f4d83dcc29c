"""A service as a child process: started with an environment, watched through its log, stopped with all that it started.

The log file is the child's stderr. Its `ready` line names the ports, so that a child may be given any free one. Children get a
session of their own: a Ctrl-C in the terminal reaches only us, and we stop them in order. If we are killed, Linux sends them SIGTERM;
elsewhere they go on. Used from the main thread alone, whose end is what Linux takes for ours.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

_POLL_S = 0.05
_STOP_S = 15.0  # from SIGTERM to SIGKILL
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a service listens."""

    service: int
    health: int
    metrics: int


class ServiceProcess:
    """One service, from its start to its end."""

    def __init__(self, name: str, module: str, environment: Mapping[str, str], log_path: Path) -> None:
        """Start `python -m <module>` with `environment` added to ours; its stderr is appended to `log_path`."""
        self.name = name
        self.log_path = log_path
        self._log = log_path.open("ab+")
        self._read_from = self._log.seek(0, os.SEEK_END)
        self._descendants: set[psutil.Process] = set()
        self._child = subprocess.Popen(
            [sys.executable, "-m", module],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
            preexec_fn=partial(_end_with, os.getpid()),  # safe: we have one thread, and it takes no lock
        )

    @property
    def exit_code(self) -> int | None:
        """How it ended, None while it lives."""
        return self._child.poll()

    def ports(self) -> Ports | None:
        """Return where it listens, None until it has said so."""
        for line in self._lines():
            event = _event(line)
            if event.get("event") == "ready":
                return Ports(event["port"], event["health_port"], event["metrics_port"])
        return None

    def last_words(self) -> str:
        """Return what it said last, for when it has died."""
        lines = [line for line in self._lines() if line.strip()]
        if not lines:
            return "nothing"
        event = _event(lines[-1])
        return str(event.get("cause") or event.get("problems") or lines[-1])

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.exit_code is None:
            self._note_descendants()
            self._child.terminate()

    def stop(self) -> None:
        """End it and everything that it started, politely for a while; return when nothing of it is left."""
        self.ask_to_stop()
        give_up = time.monotonic() + _STOP_S
        while self.exit_code is None and time.monotonic() < give_up:
            self._note_descendants()
            time.sleep(_POLL_S)
        if self.exit_code is None:
            self._child.kill()
            self._child.wait()
        _end(self._descendants)
        self._log.close()

    def _note_descendants(self) -> None:
        """Remember what it has started: after its end they could not be found any more."""
        try:
            self._descendants |= set(psutil.Process(self._child.pid).children(recursive=True))
        except psutil.NoSuchProcess:
            return  # it has just ended; what it started was noted before

    def _lines(self) -> list[str]:
        with self.log_path.open("rb") as log:
            log.seek(self._read_from)
            return log.read().decode("utf-8", "replace").splitlines()


def _end_with(parent: int) -> None:
    """Within a child: have the kernel send SIGTERM to it when `parent` has ended, however it ended."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before that
            os._exit(1)


def _end(processes: set[psutil.Process]) -> None:
    alive = [process for process in processes if process.is_running()]
    for process in alive:
        _ignore_gone(process.terminate)
    for process in psutil.wait_procs(alive, timeout=3)[1]:
        _ignore_gone(process.kill)


def _ignore_gone(send: Any) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:  # not a log line: a library printed it
        return {}
    return event if isinstance(event, dict) else {}
