"""What reaches models: a record of it, and runs that a test can slow down or break."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.infer.residency.lanes import Lane
from shared.runtime.model import Together
from shared.runtime.session import GraphSession
from shared.runtime.windows import Window

Work = tuple[Window, Sequence[Any]]  # a window, and the versions that read it


@dataclass
class Runs:
    """Every batch since, in the order in which they began."""

    batches: list[list[Work]] = field(default_factory=list)
    slow_s: float = 0.0  # by so much each is slowed down

    @property
    def sizes(self) -> list[int]:
        """The number of windows of each."""
        return [len(batch) for batch in self.batches]

    @property
    def readers(self) -> list[set[str]]:
        """The versions that had windows in each."""
        return [{str(reader.version) for _, readers in batch for reader in readers} for batch in self.batches]


def watched(monkeypatch: pytest.MonkeyPatch, *, slow_s: float = 0.0) -> Runs:
    """Record, and slow down, all batches from now on."""
    runs, begin = Runs(slow_s=slow_s), Lane.begin

    def watched_begin(lane: Lane, works: Sequence[Work]) -> Together:
        together = begin(lane, works)
        compute = together.compute

        def watched_compute() -> None:
            runs.batches.append(list(works))
            time.sleep(runs.slow_s)
            compute()

        together.compute = watched_compute
        return together

    monkeypatch.setattr(Lane, "begin", watched_begin)
    return runs


def tell_costs(cache: Path, *, run_s: float, batch_tokens: int) -> None:
    """Let it be so that every run of up to `batch_tokens` was measured to take `run_s`, longer ones in proportion: a service that
    starts with this cache goes by it.
    """
    (measured,) = (cache / "costs").iterdir()
    cells = [
        (windows, tokens, 1000 * run_s * max(1, windows * tokens / batch_tokens))
        for windows, tokens, _ in json.loads(measured.read_text())
    ]
    measured.write_text(json.dumps(cells))


def break_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything fail that computes, from now on, as a lost accelerator would."""

    def broken(*_: object) -> None:
        raise RuntimeError("CUDA error 719: unspecified launch failure")

    monkeypatch.setattr(GraphSession, "run", broken)
