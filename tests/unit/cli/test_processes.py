"""Services as child processes."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from services.cli import processes
from services.cli.processes import Ports, ServiceProcess
from services.cli.signals import Signals, StopRequested

READY = 'print(\'{"event": "ready", "port": 1, "health_port": 2, "metrics_port": 3}\', file=sys.stderr, flush=True)'


def start(folder: Path, *lines: str) -> ServiceProcess:
    """Start a module of these lines."""
    (folder / "made_up.py").write_text("\n".join(("import os, signal, subprocess, sys, time", *lines)))
    environment = {"PYTHONPATH": str(folder), "MADE_UP": "yes"}
    return ServiceProcess("made-up service", "made_up", environment, folder / "made-up.log")


def wait_ready(service: ServiceProcess) -> Ports:
    give_up = time.monotonic() + 10
    while (ports := service.ports()) is None:
        assert time.monotonic() < give_up
        assert service.exit_code is None, service.last_words()
        time.sleep(0.02)
    return ports


def test_ports_are_read_from_the_log(tmp_path):
    """Other lines, whatever they are, do not matter."""
    service = start(tmp_path, "print('noise [1]')", "print('[1, 2]', flush=True)", READY, "time.sleep(60)")
    try:
        assert wait_ready(service) == Ports(service=1, health=2, metrics=3)
        assert service.exit_code is None
    finally:
        service.stop()
    assert service.exit_code == -signal.SIGTERM


def test_an_earlier_runs_log_is_not_taken_for_this_ones(tmp_path):
    """The log is appended to, and read from where this run began."""
    first = start(tmp_path, READY)
    wait_ready(first)
    first.stop()
    second = start(tmp_path, "time.sleep(60)")
    try:
        assert second.ports() is None
        assert second.last_words() == "nothing"
    finally:
        second.stop()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('print(\'{"event": "cannot_start", "cause": "the port is taken"}\')', "the port is taken"),
        ("sys.exit('plain words')", "plain words"),
    ],
)
def test_last_words_are_the_cause(tmp_path, line, words):
    """Of a structured line the cause, of any other line the line."""
    service = start(tmp_path, line)
    while service.exit_code is None:
        time.sleep(0.02)
    assert service.last_words() == words
    service.stop()


def test_what_a_service_started_ends_with_it(tmp_path):
    """A grandchild in a session of its own is ended too."""
    service = start(
        tmp_path,
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)",
        "print(child.pid, file=open('made-up.pid', 'w'), flush=True)".replace(
            "made-up.pid", str(tmp_path / "pid")
        ),
        READY,
        "time.sleep(600)",
    )
    wait_ready(service)
    grandchild = psutil.Process(int((tmp_path / "pid").read_text()))
    service.stop()

    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_a_service_that_does_not_listen_is_killed(tmp_path, monkeypatch):
    """Politeness has an end."""
    monkeypatch.setattr(processes, "_STOP_S", 0.3)
    service = start(tmp_path, "signal.signal(signal.SIGTERM, signal.SIG_IGN)", READY, "time.sleep(600)")
    wait_ready(service)
    service.stop()

    assert service.exit_code == -signal.SIGKILL


def test_a_signal_waits_until_it_is_safe():
    """A signal that comes while a child is being started is raised when the caller looks, and not before."""
    with Signals() as signals:
        signals.check()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        with pytest.raises(StopRequested):
            signals.check()
        with pytest.raises(StopRequested), signals.raising():
            pytest.fail("not reached")


def test_a_signal_is_raised_at_once_where_that_is_safe():
    """Within `raising` a blocked main thread wakes up; the second signal does not disturb the cleaning up."""
    with Signals() as signals:
        with pytest.raises(StopRequested), signals.raising():
            _send_and_wait()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)


def _send_and_wait() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)


def test_ignored_signals_stay_ignored():
    """Under nohup a hang-up is not heeded."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
            signals.check()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_given_back():
    """After the block the signals do what they did before."""
    before = signal.getsignal(signal.SIGTERM)
    with Signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
