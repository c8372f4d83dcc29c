"""`python -m services.train.trainer.on_ray [--cpus C] [--gpus G] <folder>`: the trainer program as the driver of a Ray job.

It does what `services.train.trainer` does, with the same folder and the same events. A training of several workers is handed to Ray Train, and then this process only
watches; the trials of a search are sent to actors, and then it decides. Everything else happens in this very process, and Ray is not even imported.

Exits 0 after Finished and 1 after Failed; with neither the trainer was lost, and its log says how.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

from services.train.spec import Assignment, Survey
from services.train.trainer.__main__ import WORK, main
from services.train.trainer.journal import Journal


def run(folder: Path, *, cpus: float, gpus: float) -> int:
    """Carry out what the folder's spec says; return the exit code."""
    work = _read(folder)
    if not isinstance(work, Assignment):
        return main(folder)
    if work.spec.search is not None:
        # Each trial has one worker: several networks at once need fewer words between processes than one network in parts.
        return (
            main(folder, partial(_search, cpus=cpus, gpus=gpus)) if work.trials_at_once > 1 else main(folder)
        )
    if work.workers > 1:
        from services.train.trainer.ray_group import train_together

        return train_together(folder, workers=work.workers, cpus=cpus, gpus=gpus)
    return main(folder)


def _search(assignment: Assignment, journal: Journal, scratch: Path, *, cpus: float, gpus: float) -> None:
    from services.train.trainer.pipeline import train
    from services.train.trainer.ray_trials import RayTrials

    trials = RayTrials(assignment, scratch, cpus=cpus, gpus=gpus)
    train(assignment, emit=journal.write, scratch=scratch, trials=trials)


def _read(folder: Path) -> Assignment | Survey | None:
    """None of a spec that cannot be read: `main` says so as it always does."""
    try:
        return WORK.validate_json((folder / "spec.json").read_bytes())
    except (OSError, ValueError):
        return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="services.train.trainer.on_ray")
    parser.add_argument("--cpus", type=float, default=1.0, help="logical processors of a worker")
    parser.add_argument("--gpus", type=float, default=0.0, help="GPUs of a worker")
    parser.add_argument("folder", type=Path)
    told = parser.parse_args()
    sys.exit(run(told.folder, cpus=told.cpus, gpus=told.gpus))
