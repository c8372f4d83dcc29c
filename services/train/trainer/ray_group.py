"""A training of several workers, by Ray Train: one process for each, wherever the cluster has room, and a process group between them.

The first one is the trainer: it speaks, writes and publishes. All others learn beside it and leave. A worker or a node that is lost ends the whole group, which
Ray Train starts again elsewhere; it goes on from the newest checkpoint. A group that has had its last word does nothing when it is started again.
"""

from pathlib import Path
from typing import Any, Final

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchConfig, TorchTrainer

from services.train.events import Finished
from services.train.spec import WORKERS_LOST_CODE
from services.train.trainer.log import say
from services.train.trainer.taking_part import last_word, take_part
from services.train.trainer.worker_group import Group
from shared.telemetry.logs import describe_error

MOST_FAILURES: Final = 3  # of the group, in one attempt; what comes after is for the service to decide
# Ray Train ends the survivors of a lost worker at once; this is for what it does not see. Longer than a look at validation, for which all wait.
_EXCHANGE_TIMEOUT_S: Final = 1200
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
    word = last_word(folder)
    if word is None:
        return WORKERS_LOST_CODE
    return 0 if isinstance(word, Finished) else 1


def _work(config: dict[str, Any]) -> None:
    """One worker's part. Runs in a process of its own, in which Ray Train has set up the process group, and starts all again where one is lost."""
    take_part(Path(config["folder"]), Group())
