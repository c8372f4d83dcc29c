"""A training of several workers, by Ray Train: one process for each, wherever the cluster has room, and a process group between them.

The first one is the trainer: it speaks, writes and publishes. All others learn beside it and leave. A worker or a node that is lost ends the whole group, which
Ray Train starts again elsewhere; it goes on from the newest checkpoint. A group that has had its last word does nothing when it is started again.
"""

import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Final

import ray
from pydantic import ValidationError
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchConfig, TorchTrainer

from services.train.events import EVENT, Failed, Finished
from services.train.spec import Assignment
from services.train.trainer.__main__ import WORK, main
from services.train.trainer.failures import PeerFailedError
from services.train.trainer.journal import Journal
from services.train.trainer.log import say
from services.train.trainer.memory import limit_memory
from shared.errors import TagsmithError
from shared.telemetry.logs import describe_error

MOST_FAILURES: Final = 3  # of the group, in one attempt; what comes after is for the service to decide
# Ray Train ends the survivors of a lost worker at once; this is for what it does not see. Longer than a look at validation, for which all wait.
_EXCHANGE_TIMEOUT_S: Final = 1200
_LOST_CODE: Final = 3
_FILES: Final = "ray"  # folder of the attempt's folder, for Ray Train's own records


def train_together(folder: Path, *, workers: int, cpus: float, gpus: float) -> int:
    """Train the job of a folder with `workers` processes; return the exit code of its trainer."""
    resources = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
    trainer = TorchTrainer(
        _work,
        train_loop_config={"folder": str(folder.absolute())},
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo", timeout_s=_EXCHANGE_TIMEOUT_S),
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=bool(gpus), resources_per_worker=resources),
        run_config=RunConfig(
            name=_FILES,
            storage_path=str(folder.absolute()),
            failure_config=FailureConfig(max_failures=MOST_FAILURES),
        ),
    )
    ray.init(log_to_driver=True)
    try:
        trainer.fit()
    except TrainingFailedError as error:
        say(describe_error(error))
    word = _last_word(folder)
    if word is None:
        return _LOST_CODE
    return 0 if isinstance(word, Finished) else 1


def _work(config: dict[str, Any]) -> None:
    """One worker's part. Runs in a process of its own, in which Ray Train has set up the process group."""
    from services.train.trainer.worker_group import Group

    folder, group = Path(config["folder"]), Group()
    if group.of_leader(lambda: _last_word(folder) is not None):
        return
    if group.leads:
        if main(folder, partial(_lead, group=group)):
            group.fail(RuntimeError("the worker that leads has failed"))
        return
    work = WORK.validate_json((folder / "spec.json").read_bytes())
    assert isinstance(work, Assignment)  # noqa: S101 - for the type checker
    if work.most_memory_bytes is not None:
        limit_memory(work.most_memory_bytes)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            _follow(work, Path(scratch), group)
        except PeerFailedError:
            return  # the one that leads tells of it
        except TagsmithError as error:
            say(describe_error(error))
            group.fail(error)


def _lead(assignment: Assignment, journal: Journal, scratch: Path, *, group: Any) -> None:
    from services.train.trainer.pipeline import train

    train(assignment, emit=journal.write, scratch=scratch, workers=group)


def _follow(assignment: Assignment, scratch: Path, group: Any) -> None:
    from services.train.trainer.pipeline import train

    train(assignment, emit=lambda _: None, scratch=scratch, workers=group)


def _last_word(folder: Path) -> Finished | Failed | None:
    """Return the trainer's last word in its events, if it has had it."""
    try:
        lines = (folder / "events.jsonl").read_bytes().splitlines()
        word = EVENT.validate_json(lines[-1]) if lines else None
    except (FileNotFoundError, ValidationError):
        return None
    return word if isinstance(word, Finished | Failed) else None
