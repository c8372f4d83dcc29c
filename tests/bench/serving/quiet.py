"""Measures while nobody else is at work: waits for a quiet moment, and measures again what other processes took part in."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from tests.bench.serving.measures import settled
from tests.bench.serving.processes import machine_cpu_s

QUIET_CORES: Final = 0.1  # that others may use meanwhile
TRIES: Final = 4
_LOOK_S: Final = 0.3
_LONGEST_WAIT_S: Final = 10.0
_BUDGET_S: Final = 240.0

Figures = dict[str, Any]


def settle(rounds: Sequence[Figures]) -> Figures:
    """Return the medians over the quiet rounds of each measurement."""
    return settled(rounds, quiet_cores=QUIET_CORES)


class Patience:
    """How often to measure again, waiting for quiet each time, and how long that may take in all."""

    def __init__(self, tries: int = TRIES, budget_s: float = _BUDGET_S) -> None:
        """A single try waits for nothing."""
        self._tries, self._budget_s = tries, budget_s

    def quietest(self, measure: Callable[[], Figures]) -> Figures:
        """Return the first quiet measurement, or the least disturbed one of all tries; `others_cores` in it says which."""
        self._wait_for_quiet()
        found = [measure()]
        while found[-1]["others_cores"] > QUIET_CORES and len(found) < self._tries and self._budget_s > 0:
            started_s = time.monotonic()
            self._wait_for_quiet()
            found.append(measure())
            self._budget_s -= time.monotonic() - started_s
        return min(found, key=lambda figures: figures["others_cores"])

    def _wait_for_quiet(self) -> None:
        started_s = time.monotonic()
        give_up_s = started_s + min(_LONGEST_WAIT_S, self._budget_s) if self._tries > 1 else started_s
        while time.monotonic() < give_up_s:
            before_s = machine_cpu_s()
            time.sleep(_LOOK_S)
            if machine_cpu_s() - before_s <= QUIET_CORES * _LOOK_S:
                return
        self._budget_s -= time.monotonic() - started_s
