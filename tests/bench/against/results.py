"""The result files of the contest, and the README's table of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean
from typing import Final

from tests.bench.lessons import SIZES, preset_numbers
from tests.bench.rows import RESULTS
from tests.bench.runs import Run, RunFile

DATASET: Final = "banking77"


@dataclass(frozen=True, slots=True)
class ArmSpec:
    """How an arm is called, whether it is measured where none is named, and whether it is a recipe of Tagsmith's."""

    heading: str
    usual: bool = True  # SetFit with all pairs takes hours
    ours: bool = False
    adaptable: bool = True


ARMS: Final = {
    "tagsmith": ArmSpec("Tagsmith", ours=True),
    "tagsmith-frozen": ArmSpec("Tagsmith, frozen", ours=True, adaptable=False),
    "three-epochs": ArmSpec("AutoTrain's defaults, 3 epochs"),
    "setfit": ArmSpec("SetFit, 40 pairs a row, at most 2,400 steps"),
    "setfit-all-pairs": ArmSpec("SetFit, all pairs", usual=False),
}


def run_file(size: str) -> RunFile:
    """Where the figures of a data size stand."""
    recipes = {
        arm: {"preset": preset_numbers(adaptable=spec.adaptable)} if spec.ours else {}
        for arm, spec in ARMS.items()
    }
    return RunFile(RESULTS / "against" / f"{DATASET}-{size}.json", DATASET, size, recipes)


def results() -> dict[str, dict[str, dict[str, Run]]]:
    """Read the arms of every data size that was measured."""
    return {size: arms for size in SIZES if (arms := run_file(size).arms())}


def lines(measured: dict[str, dict[str, dict[str, Run]]]) -> Iterator[str]:
    """Yield the table's lines: accuracy with the range of its draws, and the means of both clocks."""
    yield "| Rows | Trained by | Test accuracy | Range | Steps | Seconds | CPU seconds |"
    yield "|---|---|---|---|---|---|---|"
    for size, arms in measured.items():
        for arm, spec in ARMS.items():
            runs = list(arms.get(arm, {}).values())
            if not runs:
                continue
            tests = [100 * run["test"] for run in runs]
            yield (
                f"| {size}, {runs[0]['train_rows']:,} | {spec.heading} | **{mean(tests):.1f}** | "
                f"{f'{min(tests):.1f}–{max(tests):.1f}, {len(runs)} draws' if len(runs) > 1 else 'one run'} | "
                f"{mean(run['steps'] for run in runs):,.0f} | {mean(run['seconds'] for run in runs):,.0f} | "
                f"{mean(run['cpu_seconds'] for run in runs):,.0f} |"
            )
