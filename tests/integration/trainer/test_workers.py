"""Several processes train what one trains: the same steps, the same curve, the same answers; and none waits for one that failed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed, multiprocessing

from services.train.spec import Assignment
from services.train.trainer import pipeline
from services.train.trainer.failures import PeerFailedError
from services.train.trainer.learners import FineTuning
from services.train.trainer.worker_group import Group
from shared.names import VersionName
from shared.store.manifest import Manifest, Task
from tests.integration.trainer.world import FAST, Workplace

SURE = FAST.model_copy(update={"dropout": 0.0, "max_epochs": 4, "precision": "fp32"})
WORKERS = 2


def work(rank: int, task: Callable[[Group, Path], None], folder: Path) -> None:
    """One of the processes: does `task` in a group, and writes down how it ended."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORKERS
    )
    group = Group()
    try:
        task(group, folder)
        end = "done"
    except PeerFailedError as error:
        end = f"told: {error.failure.reason}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is written down
        group.fail(error)
        end = f"failed: {type(error).__name__}"
    (folder / f"end-{rank}").write_text(end)
    distributed.destroy_process_group()


def together(task: Callable[[Group, Path], None], folder: Path) -> list[str]:
    """Have the processes do `task`, and return how each ended."""
    folder.mkdir(exist_ok=True)
    multiprocessing.start_processes(work, (task, folder), nprocs=WORKERS, start_method="spawn")  # type: ignore[no-untyped-call]
    return [(folder / f"end-{rank}").read_text() for rank in range(WORKERS)]


def weights_of(workplace: Workplace, manifest: Manifest) -> dict[str, torch.Tensor]:
    """The weights of a version."""
    assert manifest.weights is not None
    (blob,) = workplace.root.glob(f"store/blobs/sha256/*/{manifest.weights.digest}")
    return load_file(blob)


def carry_out(group: Group, folder: Path) -> None:
    """Train the jobs of the folder, one after the other, as a worker does."""
    for spec in sorted(folder.glob("spec-*.json")):
        scratch = folder / f"scratch-{spec.stem}-{group.leads}"
        scratch.mkdir()
        heard: list[str] = []
        pipeline.train(
            Assignment.model_validate_json(spec.read_text()),
            emit=lambda event: heard.append(event.kind),  # noqa: B023  # called before the next round
            scratch=scratch,
            workers=group,
        )
        group = Group()  # the next job's


def fail_at_evaluation(group: Group, folder: Path) -> None:
    """Train, but what only the worker that leads does fails."""
    with mock.patch.object(FineTuning, "evaluate", side_effect=ZeroDivisionError):
        carry_out(group, folder)


def fail_at_gradients(group: Group, folder: Path) -> None:
    """Train, but the worker that does not lead has no memory for one window in the third step."""
    loss, calls = FineTuning.loss, []

    def short_of_memory(self: FineTuning, *arguments: object, **options: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) >= 3 and not group.leads:
            raise torch.OutOfMemoryError
        return loss(self, *arguments, **options)  # type: ignore[arg-type]

    with mock.patch.object(FineTuning, "loss", short_of_memory):
        carry_out(group, folder)


@pytest.fixture(scope="module")
def sure_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base without the dropout of its own: what is dropped depends on how a batch is shared."""
    folder = tmp_path_factory.mktemp("bases") / "sure"
    shutil.copytree(tiny_base, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


CASES: dict[str, tuple[Task, bool, dict[str, float]]] = {
    "all weights": ("classification", True, {}),
    "a head": ("classification", False, {}),
    "parts of batches": ("entities", True, {"micro_batch_size": 3, "averaging_decay": 0.9}),
    # 144 rows in batches of 13: the last of an epoch has one row, of which one worker has no share.
    "empty shares": ("classification", True, {"batch_size": 13, "unfreezing_share": 0.3, "layer_decay": 0.8}),
}


@pytest.fixture(scope="module")
def shared(
    workplace: Workplace, sure_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Manifest]:
    """The versions of all cases, each trained by two workers."""
    folder = tmp_path_factory.mktemp("shared")
    versions = {}
    for case, (task, adaptable, change) in CASES.items():
        order = workplace.assign(
            sure_base, task, adaptable=adaptable, hyperparameters=SURE.model_copy(update=change)
        )
        (folder / f"spec-{case}.json").write_text(order.model_dump_json())
        versions[case] = VersionName.parse(order.version)
    assert together(carry_out, folder) == ["done", "done"]
    return {case: workplace.models.manifest(version) for case, version in versions.items()}


@pytest.mark.parametrize("case", CASES)
def test_two_workers_train_what_one_trains(
    workplace: Workplace, sure_base: Path, shared: dict[str, Manifest], case: str
) -> None:
    """With the same global batch and no dropout the curve, the metrics and the weights are those of one worker, up to rounding."""
    task, adaptable, change = CASES[case]
    chosen = SURE.model_copy(update=change)
    alone = workplace.train(
        workplace.assign(sure_base, task, adaptable=adaptable, hyperparameters=chosen)
    ).manifest
    ours = shared[case]
    assert len(ours.training_curve) == len(alone.training_curve) > 1
    for one, other in zip(ours.training_curve, alone.training_curve, strict=True):
        assert one.step == other.step
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-3)
        assert one.metric == pytest.approx(other.metric, abs=0.03)  # one row in 36 may lie on the edge
    assert ours.evaluations["fp32"]["test"].metrics == pytest.approx(
        alone.evaluations["fp32"]["test"].metrics, abs=0.03
    )
    weights = weights_of(workplace, ours)
    for name, weight in weights_of(workplace, alone).items():
        if not name.endswith(
            "key.bias"
        ):  # softmax cancels it: its gradient is rounding, of which AdamW makes steps
            torch.testing.assert_close(weights[name], weight, rtol=0.01, atol=1e-3)


@pytest.mark.parametrize(
    ("task", "ends"),
    [
        (fail_at_evaluation, ["failed: ZeroDivisionError", "told: INTERNAL"]),
        (fail_at_gradients, ["told: TRAINING_OUT_OF_MEMORY", "failed: TrainingOutOfMemoryError"]),
    ],
)
def test_nobody_waits_for_a_worker_that_failed(
    workplace: Workplace,
    tiny_base: Path,
    tmp_path: Path,
    task: Callable[[Group, Path], None],
    ends: list[str],
) -> None:
    """Where one worker fails, the other ends in the next exchange, knowing why: the process group's timeout is half an hour."""
    order = workplace.assign(tiny_base, "classification", adaptable=True)
    (tmp_path / "spec-1.json").write_text(order.model_dump_json())
    assert together(task, tmp_path) == ends
