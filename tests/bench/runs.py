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
    """The runs of a data set's size, `SIZES` by name, by the arms' `recipes` of today: those of others count as not measured."""

    path: Path
    dataset: str
    size: str
    recipes: Mapping[str, Recipe]

    def arms(self) -> dict[str, dict[str, Run]]:
        """Return the runs by arm and seed, arms in the order of the recipes."""
        found = self._record().get("arms", {})
        arms = {
            arm: {seed: run for seed, run in found.get(arm, {}).items() if run["recipe"] == _plain(recipe)}
            for arm, recipe in self.recipes.items()
        }
        return {arm: of_seed for arm, of_seed in arms.items() if of_seed}

    def lacks(self, arm: str, seed: int) -> bool:
        """Whether a run is still to be measured on today's rows."""
        return str(seed) not in self._of_todays_rows().get(arm, {})

    def add(self, arm: str, seed: int, run: Run) -> None:
        """Write a run, with the code and the hardware that it was measured with. Other arms may be measured meanwhile: the file is read anew."""
        arms = self._of_todays_rows()
        recipe = _plain(self.recipes[arm])
        told = {**run, "recipe": recipe, "code_digest": code_digest(), "hardware": hardware()}
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
