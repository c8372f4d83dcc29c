"""The export matrix: every architecture x task x Adaptable x variant through a short training, the export and the gate.

`python -m tests.bench.matrix` takes minutes and writes `docs/export-matrix.md`. The networks of the families have random weights and
two layers: what the matrix shows is that each combination exports, runs at every length and in any batch, and how the variants compare in size and speed. `all-minilm-l6-v2` is the real model.
"""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median
from typing import Final, get_args

from services.train.presets import STANDARD
from services.train.trainer.probes import Probes
from shared.store.manifest import Manifest, Task, VariantName
from tests.bench.data import BASE
from tests.bench.hardware import hardware
from tests.families import FAMILIES, make_family_base
from tests.integration.trainer.world import FAST, Outcome, Workplace

PAGE: Final = Path(__file__).parents[2] / "docs" / "export-matrix.md"
_CHOSEN: Final = FAST.model_copy(update={"max_epochs": 4, "max_tokens": 64})
_REAL: Final = _CHOSEN.model_copy(  # what was learnt before must not be run over
    update={"encoder_learning_rate": 1e-4, "head_learning_rate": 2e-3}
)
_TIMED_TOKENS, _TIMED_WINDOWS, _ROUNDS = 32, 8, 30
_GATE: Final = {  # by variant: the checks that are shown
    "fp32": ("fp32.logits", "fp32.padding", "fp32.batching", "fp32.lengths", "fp32.decisions"),
    "int8": ("int8.metric", "int8.decisions", "int8.batching", "int8.lengths"),
}


@dataclass(frozen=True, slots=True)
class Combination:
    """One training of the matrix."""

    name: str
    base: Path | None  # None: from scratch
    task: Task
    adaptable: bool


def combinations(bases: Path) -> Iterator[Combination]:
    """Yield every training."""
    folders = {"all-minilm-l6-v2": Path(BASE)} | {
        family: make_family_base(bases, family) for family in FAMILIES
    }
    for (name, folder), task, adaptable in product(folders.items(), get_args(Task), (True, False)):
        yield Combination(name, folder, task, adaptable)
    for task in ("classification", "multi-label"):
        yield Combination("rnn", None, task, adaptable=True)


def rows(workplace: Workplace, combination: Combination) -> Iterator[str]:
    """Train and yield a line for each variant."""
    chosen = _REAL if combination.base == Path(BASE) else _CHOSEN
    if combination.base is None:
        chosen = chosen.model_copy(update={"recurrent": STANDARD["rnn-classifier", True].recurrent})
    outcome = workplace.train(
        workplace.assign(
            combination.base, combination.task, adaptable=combination.adaptable, hyperparameters=chosen
        )
    )
    milliseconds = time_variants(workplace, outcome)
    measured = {check.name: check for check in outcome.manifest.gate_checks}
    for variant in ("fp32", "int8"):
        checks = [measured[name] for name in _GATE[variant] if name in measured]
        if not checks:
            continue
        figures = ", ".join(f"{check.name.partition('.')[2]} {check.measured:.2g}" for check in checks)
        failed = [check.name for check in checks if not check.passed]
        cells = (
            combination.name,
            combination.task,
            "on" if combination.adaptable else "off",
            variant,
            f"fails {', '.join(failed)}" if failed else "passed",
            figures,
            f"{graph_bytes(outcome, variant) / 1e6:.2f}",
            f"{milliseconds[variant]:.2f}" if variant in milliseconds else "–",
        )
        yield f"| {' | '.join(cells)} |"


def graph_bytes(outcome: Outcome, variant: VariantName) -> int:
    """Bytes of a variant's graphs, whether it passed or not."""
    manifest: Manifest = outcome.candidate.manifest
    return sum(graph.file.size_bytes for graph in manifest.variants[variant].graphs.values())


def time_variants(workplace: Workplace, outcome: Outcome) -> dict[VariantName, float]:
    """Median milliseconds of a batch, the variants by turns, on one thread."""
    encoded = [each.encoded for each in outcome.judgements]
    window = Probes(outcome.reference.reader, encoded).window_of(_TIMED_TOKENS)
    models = {variant: workplace.load(outcome.manifest, variant) for variant in outcome.manifest.variants}
    taken: dict[VariantName, list[float]] = {variant: [] for variant in models}
    for _ in range(_ROUNDS):
        for variant, model in models.items():
            started = time.perf_counter()
            model.run([window] * _TIMED_WINDOWS)
            taken[variant].append(1000 * (time.perf_counter() - started))
    return {variant: median(each) for variant, each in taken.items()}


def main() -> None:
    """Write the page."""
    with tempfile.TemporaryDirectory() as folder:
        workplace = Workplace(Path(folder))
        lines = []
        for combination in combinations(Path(folder) / "bases"):
            lines += rows(workplace, combination)
            print(lines[-1], flush=True)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(
        "# Export matrix\n\n"
        "Written by `python -m tests.bench.matrix`. `all-minilm-l6-v2` is the real model; the other encoders have the real architecture and\n"
        "kind of tokenizer, two layers and random weights. Each is trained for a moment on small made-up rows, exported and put through the gate.\n"
        "fp32 figures are the largest logit differences to the trained network (over the validation set, by padding, by batching, by\n"
        "length) and the number of texts decided otherwise; int8 figures are points of the metric lost, shares of texts decided otherwise and moved\n"
        "by batch-mates, and lengths that do not run. An int8 form that fails is not published. On 36 made-up validation rows one text that is decided\n"
        "otherwise is 2.8 points.\n"
        f"Milliseconds are for {_TIMED_WINDOWS} windows of {_TIMED_TOKENS} tokens on one thread of {hardware()}; compare within a row's combination only.\n\n"
        "| Encoder | Task | Adaptable | Variant | Gate | Figures | MB | ms |\n|---|---|---|---|---|---|---|---|\n"
        + "\n".join(lines)
        + "\n"
    )


if __name__ == "__main__":
    main()
