"""Holds the suite to its word: a test may skip only for a reason that `tests/declared_skips.txt` names.

A skip is a claim that nobody proves, so an undeclared one fails the session. The count of the declared ones is printed.
"""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before any test imports gRPC: its handlers of forks would start its threads again in children that only begin another program,
# and these write into the logs of those programs. Whoever forks in the command has no gRPC threads yet.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import shared  # noqa: F401  # before any test imports ONNX Runtime: it says that nothing is to be reported
from tests.postgres import Server

# Neither a machine that is busy nor dice that miss are reasons for a property to fail.
settings.register_profile(
    "tagsmith",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("tagsmith")

DECLARED = Path(__file__).with_name("declared_skips.txt")


class SkipLedger:
    """Collects the reasons of skipped tests and modules during one session. Single-threaded, as pytest's hooks are."""

    def __init__(self, declared: frozenset[str]) -> None:
        self._declared = declared
        self._reasons: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not hasattr(report, "wasxfail"):
            self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            self._reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1

    @property
    def _undeclared(self) -> list[str]:
        return sorted(set(self._reasons) - self._declared)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._undeclared and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        count = sum(self._reasons.values())
        terminalreporter.write_line(f"{count} skipped, {len(self._undeclared)} reasons not declared")
        for reason in self._undeclared:
            terminalreporter.write_line(f"UNDECLARED SKIP: {reason} (see {DECLARED.name})", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Keep a ledger for this session."""
    lines = DECLARED.read_text(encoding="utf-8").splitlines()
    declared = frozenset(line for line in lines if line and not line.startswith("#"))
    config.pluginmanager.register(SkipLedger(declared), "skip-ledger")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server, for tests that are marked `postgres`."""
    server = Server()
    yield server
    server.close()
