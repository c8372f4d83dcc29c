"""A trainer on a Ray cluster: it publishes, starts once, is found again, ends when it is told to, and is lost with its cluster."""

import time
from pathlib import Path

import pytest

from services.train.engines.port import UNWATCHED, Exit, Handle
from services.train.spec import SCRATCH
from shared.names import VersionName
from tests.integration.ray.world import Attempt, MiniCluster
from tests.integration.trainer.world import FAST, Workplace

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]

ENDLESS = FAST.model_copy(update={"max_epochs": 1000, "patience": 1000})


def test_a_job_is_published_and_starts_once(
    cluster: MiniCluster, workplace: Workplace, tiny_base: Path
) -> None:
    """The trainer of a Ray job does what it does anywhere. Starting it twice starts it once; a service that has forgotten all finds it by its handle."""
    order = workplace.assign(tiny_base, "classification", adaptable=True)
    attempt = Attempt.of(workplace, order)
    handles: list[Handle] = []
    attempt.start(cluster.engine(), handles.append)
    attempt.start(cluster.engine(), handles.append)
    assert handles == [{"submission_id": f"tagsmith-{order.job_id}-0001"}] * 2

    adopted = cluster.engine().adopt(handles[0], attempt.folder)
    assert attempt.end(adopted) == Exit(code=0), attempt.log
    assert [event["phase"] for event in attempt.said("phase")] == [
        "PREPARING",
        "TRAINING",
        "EVALUATING",
        "EXPORTING",
        "PUBLISHING",
    ]
    assert attempt.events[-1] == {"kind": "finished"}
    assert workplace.models.manifest(VersionName.parse(order.version)).state == "published"
    assert adopted.stop(grace_s=2)


def test_a_failure_is_told_as_everywhere(cluster: MiniCluster, workplace: Workplace, tiny_base: Path) -> None:
    """A trainer that fails says why and exits with 1; so does one of several workers, which is not begun again for it."""
    diverging = FAST.model_copy(
        update={"head_learning_rate": 0.99, "encoder_learning_rate": 0.99, "warmup_share": 0}
    )
    for workers in (1, 2):
        order = workplace.assign(tiny_base, "classification", adaptable=True, hyperparameters=diverging)
        (workplace.root / "broken").mkdir(exist_ok=True)
        attempt = Attempt.of(
            workplace, order, workers=workers, base_model_folder=str(workplace.root / "broken")
        )
        assert attempt.end(attempt.start(cluster.engine())) == Exit(code=1), attempt.log
        assert attempt.events[-1]["kind"] == "failed"
        assert len(attempt.said("phase")) == 1, attempt.log


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cancelled_trainer_leaves_nothing(
    cluster: MiniCluster, workplace: Workplace, tiny_base: Path, workers: int
) -> None:
    """Within thirty seconds the driver and all workers are gone; nothing is published, and starting it again does not bring it back."""
    order = workplace.assign(tiny_base, "classification", adaptable=True, hyperparameters=ENDLESS)
    attempt = Attempt.of(workplace, order, workers=workers)
    trainer = attempt.start(cluster.engine())
    attempt.wait(lambda: attempt.step, trainer)
    assert cluster.processes("RayTrainWorker", "TrainController")
    begun_s = time.monotonic()
    while not trainer.stop(grace_s=2):
        assert time.monotonic() < begun_s + 30
    assert cluster.processes("RayTrainWorker", "TrainController") == []
    assert time.monotonic() < begun_s + 30
    exit_ = trainer.poll()
    assert exit_ == Exit(signal="SIGTERM")
    again = attempt.start(cluster.engine())
    assert again.poll() == exit_
    assert attempt.said("finished") == []


def test_what_waits_for_room_is_cancelled_at_once(workplace: Workplace, tiny_base: Path) -> None:
    """A job that the cluster has no room for yet ends without having begun, also when room comes later."""
    with MiniCluster.started(cpus=0) as full:
        order = workplace.assign(tiny_base, "classification", adaptable=True)
        attempt = Attempt.of(workplace, order)
        trainer = attempt.start(full.engine())
        assert trainer.poll() is None
        begun_s = time.monotonic()
        assert trainer.stop(grace_s=2)
        assert time.monotonic() < begun_s + 10
        assert trainer.poll() == Exit(signal="SIGTERM")
        full.replace_node()  # one with a processor
        late = full.engine().adopt({"submission_id": f"tagsmith-{order.job_id}-0001"}, attempt.folder)
        attempt.end(late)
        assert attempt.events == []
        assert not (attempt.folder / SCRATCH).exists()


def test_a_lost_cluster_reads_as_a_lost_trainer(workplace: Workplace, tiny_base: Path) -> None:
    """A cluster that is gone, and one that never knew the job, end the trainer unwatched: the first after its time, and not before."""
    with MiniCluster.started() as doomed:
        order = workplace.assign(tiny_base, "classification", adaptable=True, hyperparameters=ENDLESS)
        attempt = Attempt.of(workplace, order)
        trainer = attempt.start(doomed.engine(lost_after_s=6.0))
        attempt.wait(lambda: attempt.step, trainer)
        unknown = doomed.engine().adopt({"submission_id": "tagsmith-nobody-0001"}, attempt.folder)
        assert unknown.poll() == UNWATCHED
        assert unknown.stop(grace_s=0)
    gone_s = time.monotonic()
    assert trainer.poll() is None
    assert attempt.end(trainer) == UNWATCHED
    assert 4.0 < time.monotonic() - gone_s < 30
    assert trainer.stop(grace_s=0)
    with pytest.raises(OSError, match="Ray"):
        attempt.start(doomed.engine())
