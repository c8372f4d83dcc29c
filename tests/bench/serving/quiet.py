"""Measures while nobody else is at work: waits for a quiet moment, and measures again what other processes took part in."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.bench.serving.processes import machine_cpu_s

QUIET_CORES: Final = 0.1  # that others may use meanwhile
TRIES: Final = 4
_LOOK_S: Final = 0.3
_LONGEST_WAIT_S: Final = 10.0

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often to measure again, waiting for quiet each time; a single try waits for nothing."""

    tries: int = TRIES

    def quietest(self, measure: Callable[[], Figures]) -> Figures:
        """Return the first quiet measurement, or the least disturbed one of all tries; `others_cores` in it says which."""
        found: list[Figures] = []
        for _ in range(self.tries):
            if self.tries > 1:
                _wait_for_quiet()
            found.append(measure())
            if found[-1]["others_cores"] <= QUIET_CORES:
                break
        return min(found, key=lambda figures: figures["others_cores"])


def _wait_for_quiet() -> None:
    give_up_s = time.monotonic() + _LONGEST_WAIT_S
    while time.monotonic() < give_up_s:
        before_s = machine_cpu_s()
        time.sleep(_LOOK_S)
        if machine_cpu_s() - before_s <= QUIET_CORES * _LOOK_S:
            break
