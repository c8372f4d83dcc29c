"""The training service whose trainers run on Ray: what callers do is as with any engine."""

from pathlib import Path

import pytest

from shared.names import VersionName
from shared.stubs.training.v1 import training_pb2 as pb
from tests.integration.ray.world import MiniCluster
from tests.integration.train_service.harness import Service, state_of, wait_for
from tests.integration.trainer.world import FAST

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]
_KNOBS = {"batch_size": FAST.batch_size, "encoder_learning_rate": 1e-3}


def end_of(service: Service, job_id: str) -> pb.TrainingJob:
    """Wait for a job's end, for as long as a cluster takes."""
    wait_for(lambda: service.job(job_id).HasField("end_time"), what="the job to end", timeout_s=180)
    return service.job(job_id)


def test_jobs_of_a_service_on_ray(cluster: MiniCluster, tiny_base: Path, tmp_path: Path) -> None:
    """A job is published by a trainer of the cluster, its log can be read; one that is stopped keeps its best, one that is cancelled leaves nothing."""
    service = Service(tmp_path, module="services.train", bases=tiny_base.parent)
    try:
        service.start(
            engine="ray", ray_address=cluster.address, jobs_dir=str(tmp_path / "jobs"), trainer_threads="1"
        )
        service.import_csv()
        short = pb.Hyperparameters(max_epochs=2, **_KNOBS)
        job = service.submit(
            "short", base_model=tiny_base.name, hyperparameters=short, promote_to="production"
        )
        end = end_of(service, job.id)
        assert state_of(end) == "SUCCEEDED", end.error.message + "\n".join(end.log_tail)
        assert service.models.manifest(VersionName("short", 1)).lineage.job_id == job.id
        assert service.promotions("short") == [(1, job.id)]

        endless = pb.Hyperparameters(max_epochs=1000, patience=1000, **_KNOBS)
        kept = service.submit("kept", base_model=tiny_base.name, hyperparameters=endless)
        wait_for(lambda: service.job(kept.id).progress.step > 3, what="some steps", timeout_s=120)
        service.training.StopTrainingJob(pb.StopTrainingJobRequest(id=kept.id))
        assert state_of(end_of(service, kept.id)) == "STOPPED"

        called_off = service.submit("off", base_model=tiny_base.name, hyperparameters=endless)
        wait_for(lambda: service.job(called_off.id).progress.step > 3, what="some steps", timeout_s=120)
        service.cancel(called_off.id)
        assert state_of(end_of(service, called_off.id)) == "CANCELLED"
        assert cluster.processes() == []
        assert service.models.models() == ["kept", "off", "short"]
        assert service.models.versions("off") == []
    finally:
        service.close()
