"""Several processes train what one trains: the same steps, the same curve, the same answers; and none waits for one that failed."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed, multiprocessing

from services.train.spec import Assignment
from services.train.trainer.failures import GroupLostError
from services.train.trainer.learners import FineTuning
from services.train.trainer.taking_part import take_part
from services.train.trainer.worker_group import Group
from shared.names import VersionName
from shared.store.manifest import Manifest, Task
from tests.integration.trainer.world import FAST, Workplace

SURE = FAST.model_copy(update={"dropout": 0.0, "max_epochs": 4, "precision": "fp32"})
WORKERS = 2
PATIENCE_S = 200.0


def work(rank: int, task: Callable[[Group, Path], None], folder: Path, meeting: str) -> None:
    """One of the processes: does `task` in a group, and writes down how it ended."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=WORKERS)
    try:
        task(Group(), folder)
        end = "done"
    except GroupLostError:
        end = "lost the others"
    (folder / f"end-{rank}").write_text(end)


def together(task: Callable[[Group, Path], None], folder: Path) -> list[str]:
    """Have the processes do `task`, and return how each ended."""
    folder.mkdir(exist_ok=True)
    for end in folder.glob("end-*"):
        end.unlink()
    context = multiprocessing.get_context("spawn")
    meeting = str(folder / f"meeting-{time.monotonic_ns()}")
    processes = [
        context.Process(target=work, args=(rank, task, folder, meeting), daemon=True)
        for rank in range(WORKERS)
    ]
    for process in processes:
        process.start()
    deadline_s = time.monotonic() + PATIENCE_S
    for process in processes:
        process.join(max(0.0, deadline_s - time.monotonic()))
    waiting = [process for process in processes if process.is_alive()]
    for process in waiting:
        process.kill()
    assert not waiting
    files = [folder / f"end-{rank}" for rank in range(WORKERS)]
    return [file.read_text() if file.exists() else "ended without a word" for file in files]


def place(folder: Path, order: Assignment) -> Path:
    """Make the attempt's folder of a job."""
    folder.mkdir()
    (folder / "spec.json").write_text(order.model_copy(update={"workers": WORKERS}).model_dump_json())
    return folder


def events_of(folder: Path) -> list[dict[str, Any]]:
    """What the one that leads has said."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def weights_of(workplace: Workplace, manifest: Manifest) -> dict[str, torch.Tensor]:
    """The weights of a version."""
    assert manifest.weights is not None
    (blob,) = workplace.root.glob(f"store/blobs/sha256/*/{manifest.weights.digest}")
    return load_file(blob)


def carry_out(group: Group, folder: Path) -> None:
    """Train the jobs of the folder, one after the other, as a worker does."""
    for spec in sorted(folder.glob("*/spec.json")):
        take_part(spec.parent, group)
        group = Group()  # the next job's


def fail_at_evaluation(group: Group, folder: Path) -> None:
    """Train, but what only the worker that leads does fails."""
    with mock.patch.object(FineTuning, "evaluate", side_effect=ZeroDivisionError):
        carry_out(group, folder)


@contextmanager
def at_loss(number: int, do: Callable[[], None]) -> Iterator[None]:
    """`do` something before the loss of so many windows is computed."""
    loss, calls = FineTuning.loss, []

    def watched(self: FineTuning, *arguments: object, **options: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) >= number:
            do()
        return loss(self, *arguments, **options)  # type: ignore[arg-type]

    with mock.patch.object(FineTuning, "loss", watched):
        yield


def short_of_memory() -> None:
    """There is none for one window."""
    raise torch.OutOfMemoryError


def divide() -> None:
    """As whoever has made a mistake in this program."""
    raise ZeroDivisionError


def die() -> None:
    """As by the kernel, or with the node."""
    os.kill(os.getpid(), signal.SIGKILL)


def in_third_step(do: Callable[[], None], rank: int, group: Group, folder: Path) -> None:
    """Train, but one of the workers does something else in the third step."""
    with at_loss(3, do) if distributed.get_rank() == rank else nullcontext():
        carry_out(group, folder)


def note_draws(group: Group, folder: Path) -> None:
    """Train, and write down what dropout is drawn from at first."""
    file = folder / f"drawn-{distributed.get_rank()}"

    def note() -> None:
        if not file.exists():
            file.write_bytes(bytes(torch.get_rng_state().tolist()))

    with at_loss(1, note):
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
        place(folder / case, order)
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
    ("task", "reason"),
    [
        (fail_at_evaluation, "INTERNAL"),
        (partial(in_third_step, divide, 0), "INTERNAL"),
        (partial(in_third_step, divide, 1), "INTERNAL"),
        (partial(in_third_step, short_of_memory, 1), "TRAINING_OUT_OF_MEMORY"),
    ],
)
def test_nobody_waits_for_a_worker_that_failed(
    workplace: Workplace,
    tiny_base: Path,
    tmp_path: Path,
    task: Callable[[Group, Path], None],
    reason: str,
) -> None:
    """Where one worker fails, the other ends in the next exchange, and the one that leads says why: the process group's timeout is half an hour."""
    job = place(tmp_path / "job", workplace.assign(tiny_base, "classification", adaptable=True))
    assert together(task, tmp_path) == ["done", "done"]
    assert [event["kind"] for event in events_of(job)].count("failed") == 1
    assert events_of(job)[-1]["failure"]["reason"] == reason
    assert together(carry_out, tmp_path) == ["done", "done"]
    assert events_of(job)[-1]["kind"] == "failed"  # a group that is started again does nothing


@pytest.mark.parametrize("rank", range(WORKERS))
def test_a_lost_worker_is_no_end(workplace: Workplace, tiny_base: Path, tmp_path: Path, rank: int) -> None:
    """One worker is killed: the other says so to whoever started them and has no last word, and the group that is started again ends the job."""
    job = place(tmp_path / "job", workplace.assign(tiny_base, "classification", adaptable=True))
    ends = together(partial(in_third_step, die, rank), tmp_path)
    assert ends[rank] == "ended without a word"
    assert ends[1 - rank] == "lost the others"
    assert {event["kind"] for event in events_of(job)} <= {"phase", "progress"}
    assert together(carry_out, tmp_path) == ["done", "done"]
    assert events_of(job)[-1] == {"kind": "finished"}


def test_each_worker_drops_other_things(workplace: Workplace, tiny_base: Path, tmp_path: Path) -> None:
    """What dropout is drawn from in the first step differs between workers."""
    place(tmp_path / "job", workplace.assign(tiny_base, "classification", adaptable=True))
    assert together(note_draws, tmp_path) == ["done", "done"]
    first, second = ((tmp_path / f"drawn-{rank}").read_bytes() for rank in range(WORKERS))
    assert len(first) == len(second) > 0
    assert first != second
