"""What is lost on a Ray cluster, as Ray tells of it; no cluster is started."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.train.engines.port import Exit
from services.train.spec import WORKERS_LOST_CODE
from services.train.trainer.driving import Course, Driver
from services.train.trainer.failures import failure_of
from shared.errors import TrainerLostError
from tests.integration.trainer.lessons import assigned, lesson_of
from tests.integration.trainer.world import Workplace

pytestmark = pytest.mark.ray

Teach = Callable[[Path], Iterator[Any]]


def teach(
    workplace: Workplace,
    base: Path,
    scratch: Path,
    monkeypatch: pytest.MonkeyPatch,
    trial: Teach,
    driver: Driver,
) -> None:
    """Teach a lesson by an actor that does `trial` with its folder."""
    from services.train.trainer import ray_trials

    def remote(_: object, folder: Path, *__: object) -> Iterator[Any]:
        return trial(folder)

    actor = SimpleNamespace(teach=SimpleNamespace(options=lambda **_: SimpleNamespace(remote=remote)))
    ray = SimpleNamespace(
        init=lambda **_: None,
        remote=lambda **_: lambda _: SimpleNamespace(remote=lambda: actor),
        get=lambda told: told,
        kill=lambda _: None,
    )
    monkeypatch.setattr(ray_trials, "ray", ray)
    order = assigned(workplace, base, "all weights in parts")
    lesson = lesson_of(order, scratch)
    ray_trials.RayTrials(order, scratch, cpus=1, gpus=0).teach(lesson, driver)


def test_a_trial_that_is_lost_too_often_is_tried_again(
    workplace: Workplace, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third loss of one trial is the machines' fault: it reads as TRAINER_LOST, for which jobs get another attempt. Each begins without a request to stop."""
    from ray.exceptions import ActorDiedError

    begun: list[bool] = []

    def trial(folder: Path) -> Iterator[Any]:
        begun.append((folder / "stop").exists())
        (folder / "stop").touch()
        raise ActorDiedError
        yield

    with pytest.raises(TrainerLostError) as caught:
        teach(workplace, tiny_base, tmp_path, monkeypatch, trial, Driver(lambda _: None))
    assert failure_of(caught.value, None).reason == "TRAINER_LOST"
    assert begun == [False] * 3


def test_a_trial_that_was_asked_to_stop_is_not_begun_again(
    workplace: Workplace, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would end with its first step, and count as what the trial has come to."""
    from ray.exceptions import ActorDiedError

    begun: list[Path] = []

    def trial(folder: Path) -> Iterator[Any]:
        begun.append(folder)
        if len(begun) > 1:
            yield Course((), 1, was_stopped=True)
        raise ActorDiedError

    with pytest.raises(TrainerLostError):
        teach(
            workplace,
            tiny_base,
            tmp_path,
            monkeypatch,
            trial,
            Driver(lambda _: None, stop_asked=lambda: True),
        )
    assert len(begun) == 1


def test_a_cluster_that_cannot_be_joined_is_tried_again(
    workplace: Workplace, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer's driver does not reach the head."""
    from services.train.trainer import ray_trials

    def fail(**_: object) -> None:
        raise ConnectionError("no head")

    monkeypatch.setattr(ray_trials.ray, "init", fail)
    order = assigned(workplace, tiny_base, "all weights in parts")
    with pytest.raises(TrainerLostError):
        ray_trials.RayTrials(order, tmp_path, cpus=1, gpus=0)


def test_a_lost_group_reads_as_killed() -> None:
    """After it an attempt computes fewer windows at once, as after a trainer that was killed."""
    from ray.job_submission import JobStatus

    from services.train.engines.ray import _exit_of

    ended = SimpleNamespace(status=JobStatus.FAILED, driver_exit_code=WORKERS_LOST_CODE)
    assert _exit_of(ended) == Exit(signal="SIGKILL")
    ended.driver_exit_code = 1
    assert _exit_of(ended) == Exit(code=1)
