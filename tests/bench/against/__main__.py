"""The default recipe beside what else one would take for the job: AutoTrain's three epochs, and SetFit. BANKING77, ten rows a label and all.

`python -m tests.bench.against 10-shot` or `... full` measures every arm of one data size, one after the other and each in a process of its own,
so that their seconds compare; stopped, it goes on where it was. `... 10-shot ARM` measures one arm. The first run with SetFit makes its
environment in `var/setfit` with pip. All arms start from the same base and are given the same validation split, SetFit has no use for it.
`--try` takes some steps of each arm on a few rows, prints what came of it, and writes nothing.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any, Final

from services.train.trainer.corpus import Corpus
from tests.bench.against.results import ARMS, DATASET, run_file
from tests.bench.data import BASE
from tests.bench.lessons import SIZES, draw

_ROOT: Final = Path(__file__).parents[3]
_HERE: Final = Path(__file__).parent
_ENVIRONMENT: Final = _ROOT / "var" / "setfit"
_OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false"}


def measure(arm: str, corpus: Corpus, seed: int, limits: dict[str, int]) -> dict[str, Any]:
    """Train one arm in a process of its own: accuracies on validation and test, and seconds. `limits` cut a trial run short."""
    work = {"base": BASE, "seed": seed, **limits}
    for split, rows in corpus.splits.items():
        work[split] = {"texts": [row.text for row in rows], "labels": [row.label for row in rows]}
    command = [sys.executable, "-m", "tests.bench.against.contenders"]
    if arm.startswith("setfit"):
        command = [str(_setfit_python()), str(_HERE / "setfit_arm.py")]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "work.json").write_text(json.dumps(work))
        subprocess.run([*command, arm, folder], check=True, cwd=_ROOT, env={**os.environ, **_OFFLINE})
        answers = json.loads((Path(folder) / "answers.json").read_text())
    right = {
        split: sum(a == b for a, b in zip(answers[split], work[split]["labels"], strict=True))
        / len(answers[split])
        for split in ("validation", "test")
    }
    return {
        **right,
        "train_rows": len(corpus.splits["train"]),
        "seconds": round(answers["seconds"], 1),
        "cpu_seconds": round(answers["cpu_seconds"], 1),
        **answers["told"],
    }


def _setfit_python() -> Path:
    """The Python of SetFit's environment, which is made where it is not there."""
    python, ready, wanted = (
        _ENVIRONMENT / "bin" / "python",
        _ENVIRONMENT / ".ready",
        _HERE / "requirements.txt",
    )
    if not ready.exists() or ready.read_text() != wanted.read_text():
        print("making SetFit's environment: some minutes", file=sys.stderr, flush=True)
        venv.create(_ENVIRONMENT, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
        ready.write_text(wanted.read_text())
    return python


def _try() -> None:
    corpus = draw(DATASET, 2, 1)
    few = Corpus(corpus.task, corpus.labels, {split: rows[:200] for split, rows in corpus.splits.items()})
    for arm in ARMS:
        print(arm, measure(arm, few, 1, {"most_epochs": 1, "most_steps": 4}), flush=True)


def main(arguments: list[str]) -> None:
    """Measure what is missing of a data size, or of the named arms of it."""
    if arguments == ["--try"]:
        _try()
        return
    name, *arms = arguments
    size, file = SIZES[name], run_file(name)
    for seed in size.seeds:
        for arm in arms or [each for each, spec in ARMS.items() if spec.usual]:
            if file.lacks(arm, seed):
                file.add(arm, seed, measure(arm, draw(DATASET, size.rows_per_label, seed), seed, {}))


if __name__ == "__main__":
    main(sys.argv[1:])
