"""The service with its real trainer, on a tiny base: what the stand-in can only play."""

import time
from collections.abc import Iterator

import pytest
import torch
from safetensors.torch import load_file, save_file

from services.train.spec import SCRATCH
from shared.names import VersionName
from shared.rpc.status import read_status
from shared.stubs.training.v1 import training_pb2 as pb
from tests.bases import TINY_BASE, make_tiny_base
from tests.integration.train_service.harness import Service, refused, state_of

NAN_BASE = "nan-bert"


@pytest.fixture(scope="module")
def real_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service as it is installed, with a tiny base and one that has a weight which is no number."""
    bases = tmp_path_factory.mktemp("bases")
    base = make_tiny_base(bases / "made").rename(bases / NAN_BASE)
    weights = load_file(base / "model.safetensors")
    weights["encoder.layer.1.output.dense.bias"][0] = torch.nan
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    make_tiny_base(bases)
    service = Service(tmp_path_factory.mktemp("real"), module="services.train", bases=bases)
    try:
        service.start(trainer_threads="1")
        service.import_csv()
        yield service
    finally:
        service.close()


def test_cancel_of_a_real_trainer_leaves_no_process_after_five_seconds(real_service: Service) -> None:
    """A trainer in the middle of its steps is gone with all that it started when its job reads CANCELLED, and so is its scratch."""
    long = pb.Hyperparameters(max_epochs=1000, patience=1000, batch_size=1)
    job = real_service.submit("long", base_model=TINY_BASE, hyperparameters=long)
    next(each for each in real_service.watch(job.id) if each.progress.step)
    assert real_service.trainers()

    started_s = time.monotonic()
    real_service.cancel(job.id)
    assert state_of(real_service.end_of(job.id)) == "CANCELLED"
    assert time.monotonic() - started_s < 5
    assert real_service.trainers() == []
    assert not (real_service.attempt_folder(job.id) / SCRATCH).exists()
    assert real_service.models.versions("long") == []


@pytest.mark.parametrize("adaptable", [True, False])
def test_a_loss_that_is_no_number_fails_its_job(real_service: Service, *, adaptable: bool) -> None:
    """A base that answers NaN ends its job FAILED as TRAINING_DIVERGED with the step and a remedy; nothing is published."""
    model = f"nan-{adaptable}".lower()
    job = real_service.submit(model, base_model=NAN_BASE, adaptable=adaptable, promote_to="production")
    end = real_service.end_of(job.id)
    assert state_of(end) == "FAILED"
    why = read_status(end.error)
    assert (why.reason, why.metadata) == ("TRAINING_DIVERGED", {"step": "1"})
    assert "learning_rate" in why.message
    assert real_service.models.versions(model) == []
    with refused("ABORTED", "TRAINING_DIVERGED"):
        real_service.training.PlanTrainingJob(
            pb.PlanTrainingJobRequest(spec=job.spec, promote_to="production")
        )


def test_a_training_goes_on_as_its_parent_was(real_service: Service) -> None:
    """Base, switch, pooling and window of the version need not be repeated; saying otherwise is refused by the field."""
    knobs = pb.Hyperparameters(max_epochs=2, max_tokens=48, pooling=pb.FIRST_TOKEN)
    parent = real_service.submit("heads", base_model=TINY_BASE, adaptable=False, hyperparameters=knobs)
    assert state_of(real_service.end_of(parent.id)) == "SUCCEEDED"
    goes_on = pb.Continuation(version="heads@1")
    job = real_service.submit(
        "heads", continue_from=goes_on, hyperparameters=pb.Hyperparameters(max_epochs=2)
    )
    assert (job.spec.base_model, job.spec.adaptable) == (TINY_BASE, False)
    assert (job.spec.hyperparameters.max_tokens, job.spec.hyperparameters.pooling) == (48, pb.FIRST_TOKEN)
    assert state_of(real_service.end_of(job.id)) == "SUCCEEDED"
    lineage = real_service.models.manifest(VersionName("heads", 2)).lineage
    assert (lineage.parent_version, lineage.adaptable) == ("heads@1", False)
    with refused("INVALID_ARGUMENT", "SPEC_INVALID") as refusal:
        real_service.submit("heads", continue_from=goes_on, adaptable=True)
    assert [problem.field for problem in refusal.why.problems] == ["spec.adaptable"]
