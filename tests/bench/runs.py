"""A file of the runs of many arms on one data size, which grows run by run: whatever was cut short goes on where it was."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.code import code_digest
from tests.bench.data import rows_digest
from tests.bench.hardware import hardware
from tests.bench.lessons import SIZES

Run = dict[str, Any]
Recipe = Mapping[str, Any]  # all that a run depends on but its rows, its seed and the code


@dataclass(frozen=True, slots=True)
class RunFile:
    """The runs of a data set's size, `SIZES` by name; those of other rows or another recipe than today's are measured anew."""

    path: Path
    dataset: str
    size: str

    def arms(self) -> dict[str, dict[str, Run]]:
        """Return the runs by arm and seed, as they stand."""
        return dict(self._record().get("arms", {}))

    def lacks(self, arm: str, seed: int, recipe: Recipe) -> bool:
        """Whether a run of this recipe is still to be measured on today's rows."""
        return self._of_todays_rows().get(arm, {}).get(str(seed), {}).get("recipe") != _plain(recipe)

    def add(self, arm: str, seed: int, recipe: Recipe, run: Run) -> None:
        """Write a run, with the code and the hardware that it was measured with. Other arms may be measured meanwhile: the file is read anew."""
        arms = self._of_todays_rows()
        told = {**run, "recipe": _plain(recipe), "code_digest": code_digest(), "hardware": hardware()}
        arms.setdefault(arm, {})[str(seed)] = told
        record = {"rows_digest": rows_digest(self.dataset), "size": asdict(SIZES[self.size]), "arms": arms}
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(record, indent=2) + "\n")
        print(f"{self.size}, {arm}, seed {seed}: {run}", flush=True)

    def _of_todays_rows(self) -> dict[str, dict[str, Run]]:
        return self.arms() if self._record().get("rows_digest") == rows_digest(self.dataset) else {}

    def _record(self) -> dict[str, Any]:
        return dict(json.loads(self.path.read_text())) if self.path.exists() else {}


def _plain(recipe: Recipe) -> Run:
    """As a file gives it back."""
    return dict(json.loads(json.dumps(recipe)))
