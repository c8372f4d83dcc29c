"""Several workers of a Ray cluster train what one trains, and go on when a node is lost; attempts on both engines go on from each other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.train.engines.local import LocalEngine
from services.train.engines.port import Engine, Exit
from shared.names import VersionName
from shared.store.manifest import Manifest
from tests.integration.ray.world import Attempt, MiniCluster
from tests.integration.trainer.world import FAST, Workplace

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

SURE = FAST.model_copy(update={"dropout": 0.0, "max_epochs": 4, "precision": "fp32"})
LONG = FAST.model_copy(update={"max_epochs": 250, "patience": 1000})


def version_of(workplace: Workplace, version: str) -> Manifest:
    """The manifest of a version that a job has published."""
    return workplace.models.manifest(VersionName.parse(version))


def test_two_workers_train_what_one_trains(
    cluster: MiniCluster, workplace: Workplace, tiny_base: Path
) -> None:
    """A frozen base, so that nothing is dropped: the curve and the metrics of two workers are those of one, up to rounding."""
    alone = workplace.train(
        workplace.assign(tiny_base, "classification", adaptable=False, hyperparameters=SURE)
    ).manifest
    order = workplace.assign(tiny_base, "classification", adaptable=False, hyperparameters=SURE)
    attempt = Attempt.of(workplace, order, workers=2)
    assert attempt.end(attempt.start(cluster.engine())) == Exit(code=0), attempt.log
    ours = version_of(workplace, order.version)
    assert "world_size=2" in attempt.log
    assert len(ours.training_curve) == len(alone.training_curve) > 1
    for one, other in zip(ours.training_curve, alone.training_curve, strict=True):
        assert (one.step, one.metric) == (other.step, pytest.approx(other.metric, abs=0.03))
        assert one.train_loss == pytest.approx(other.train_loss, rel=1e-3)
    for split in ("validation", "test"):
        metrics = alone.evaluations["fp32"][split].metrics
        assert ours.evaluations["fp32"][split].metrics == pytest.approx(metrics, abs=0.03)


def test_training_outlives_a_node(workplace: Workplace, tiny_base: Path) -> None:
    """A node is lost in mid-training with the worker on it, another comes: the group goes on from the newest checkpoint, and the version's curve has no gap."""
    with MiniCluster.started(cpus=1) as cluster:
        order = workplace.assign(tiny_base, "classification", adaptable=True, hyperparameters=LONG)
        attempt = Attempt.of(workplace, order, workers=2)
        trainer = attempt.start(cluster.engine())
        kept = Path(order.kept_folder) / "checkpoints"
        attempt.wait(lambda: attempt.step > 100 and list(kept.glob("0*")), trainer)
        cluster.replace_node()
        assert attempt.end(trainer) == Exit(code=0), attempt.log
    (resumed,) = attempt.said("resumed")
    assert resumed["step"] > 0
    curve = [point.step for point in version_of(workplace, order.version).training_curve]
    assert curve == [*range(20, 250 * 9 + 1, 20), *([] if 250 * 9 % 20 == 0 else [250 * 9])]
    assert attempt.events[-1] == {"kind": "finished"}


@pytest.mark.parametrize("rank", [0, 1])
def test_training_outlives_a_worker(
    cluster: MiniCluster, workplace: Workplace, tiny_base: Path, rank: int
) -> None:
    """A worker is killed in mid-training, the one that leads or the other: no failure is told, and the group that is started again ends the job."""
    long = LONG.model_copy(update={"max_epochs": 100})
    order = workplace.assign(tiny_base, "classification", adaptable=True, hyperparameters=long)
    attempt = Attempt.of(workplace, order, workers=2)
    trainer = attempt.start(cluster.engine())
    attempt.wait(lambda: attempt.step > 30, trainer)
    events = str(attempt.folder / "events.jsonl")
    workers = [
        each for each in cluster.processes("RayTrainWorker") if "RayTrainWorker" in " ".join(each.cmdline())
    ]
    (victim,) = (
        each for each in workers if any(file.path == events for file in each.open_files()) == (rank == 0)
    )
    victim.kill()
    assert attempt.end(trainer) == Exit(code=0), attempt.log
    assert attempt.said("failed") == []
    assert [each["phase"] for each in attempt.said("phase")].count("PREPARING") == 2
    assert attempt.events[-1] == {"kind": "finished"}


def test_attempts_on_both_engines_go_on_from_each_other(
    cluster: MiniCluster, workplace: Workplace, tiny_base: Path
) -> None:
    """What a local trainer kept two workers on Ray go on from, and a local one from theirs; asked to stop, it publishes the best so far."""
    order = workplace.assign(
        tiny_base,
        "classification",
        adaptable=True,
        hyperparameters=LONG.model_copy(update={"max_epochs": 1000}),
    )
    engines: list[tuple[Engine, dict[str, Any]]] = [
        (LocalEngine(), {}),
        (cluster.engine(), {"workers": 2}),
        (LocalEngine(), {}),
    ]
    begins = [0]
    for number, (engine, change) in enumerate(engines, start=1):
        attempt = Attempt.of(workplace, order, attempt=number, **change)
        trainer = attempt.start(engine)
        attempt.wait(far_enough(attempt, begins[-1], Path(order.kept_folder)), trainer)
        if number > 1:
            (resumed,) = attempt.said("resumed")
            assert resumed["step"] > begins[-1]
            begins.append(resumed["step"])
        if number < len(engines):
            while not trainer.stop(grace_s=2):
                pass
    (attempt.folder / "stop").touch()
    assert attempt.end(trainer) == Exit(code=0), attempt.log
    (stopped,) = attempt.said("stopped")
    curve = [point.step for point in version_of(workplace, order.version).training_curve]
    assert curve == sorted(set(curve))
    assert curve[:10] == list(range(20, 201, 20))
    assert curve[-1] <= stopped["step"]


def far_enough(attempt: Attempt, before: int, kept: Path) -> Callable[[], bool]:
    """Whether the attempt has kept something that lies 200 steps beyond the one before."""

    def check() -> bool:
        steps = [int(each.name[:8]) for each in (kept / "checkpoints").glob("0*")]
        return attempt.step > before + 200 and max(steps, default=0) > before + 100

    return check


def test_several_workers_stop_when_they_are_asked_to(
    cluster: MiniCluster, workplace: Workplace, tiny_base: Path
) -> None:
    """All of them end at the same step, and the best so far is published."""
    order = workplace.assign(tiny_base, "classification", adaptable=True, hyperparameters=LONG)
    attempt = Attempt.of(workplace, order, workers=2)
    trainer = attempt.start(cluster.engine())
    attempt.wait(lambda: attempt.step > 30, trainer)
    (attempt.folder / "stop").touch()
    assert attempt.end(trainer) == Exit(code=0), attempt.log
    (stopped,) = attempt.said("stopped")
    assert 30 < stopped["step"] < 250 * 9
    assert version_of(workplace, order.version).state == "published"
