"""Submitting, watching, listing and ending jobs, over a real socket."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.train.jobs.lifecycle import PHASES
from shared.names import VersionName
from shared.rpc.status import read_status
from shared.stubs.registry.v1 import registry_pb2
from shared.stubs.training.v1 import training_pb2 as pb
from tests.integration.train_service.harness import CSV, Service, refused, state_of, wait_for


def test_a_job_goes_from_submit_to_a_promoted_version(service: Service) -> None:
    """A submitted job passes its phases in order, ends SUCCEEDED with metrics, and its version is where its alias points."""
    job = service.submit("succeed", promote_to="production")
    assert state_of(job) == "QUEUED"
    assert job.model_version == "succeed@1"
    assert job.spec.dataset.startswith("support@sha256:")
    assert job.spec.hyperparameters.max_tokens > 0

    seen = list(service.watch(job.id))
    order = ["QUEUED", *PHASES, "SUCCEEDED"]
    states = [order.index(state_of(each)) for each in seen]
    assert states == sorted(states)
    assert [each.revision for each in seen] == sorted({each.revision for each in seen})

    end = seen[-1]
    assert state_of(end) == "SUCCEEDED"
    assert end.metrics["validation.accuracy"] == 1.0
    assert (end.progress.step, end.progress.total_steps) == (1, 10)
    assert end.create_time.ToDatetime() <= end.start_time.ToDatetime() <= end.end_time.ToDatetime()
    version = service.registry.GetModelVersion(registry_pb2.GetModelVersionRequest(model_version="succeed"))
    assert (version.name, version.job, list(version.aliases)) == ("succeed@1", job.id, ["production"])
    history = service.models.alias_history("succeed", "production")
    assert [(move.actor, move.reason) for move in history] == [(job.id, "promoted by training job")]


def test_a_refused_version_is_kept_and_never_promoted(service: Service) -> None:
    """A version that the gate refuses ends REJECTED with the failed checks, stays readable, and no alias moves."""
    end = service.end_of(service.submit("reject", promote_to="production").id)

    assert state_of(end) == "REJECTED"
    assert "fp32.logits" in end.error.message
    assert service.models.manifest(VersionName("reject", 1)).state == "rejected"
    assert service.models.aliases("reject").records == []


@pytest.mark.parametrize(
    ("model", "reason", "words"),
    [
        ("diverge", "TRAINING_DIVERGED", "not finite"),
        ("crash", "TRAINER_LOST", "SIGKILL"),
        ("leave", "TRAINER_LOST", "exit code 3"),
        ("lie", "TRAINER_LOST", "exit code 0"),
    ],
)
def test_a_trainer_that_fails_says_why(service: Service, model: str, reason: str, words: str) -> None:
    """A job whose trainer fails, dies, leaves or lies ends FAILED with a reason that programs and people can read."""
    end = service.end_of(service.submit(model, promote_to="production").id)

    assert state_of(end) == "FAILED"
    assert words in end.error.message
    assert any(reason in str(detail) for detail in end.error.details)
    assert end.model_version == f"{model}@1"
    assert service.models.aliases(model).records == []


def test_a_killed_trainer_names_the_signal_and_a_remedy(service: Service) -> None:
    """A trainer that is killed is started anew; a job that gets nowhere for that is TRAINER_LOST, which names the signal and says what to do about memory."""
    job = service.submit("pause-training")
    for attempt in (1, 2, 3):
        wait_for(lambda attempt=attempt: service.job(job.id).attempt == attempt, what="the attempt")
        service.wait_until(job.id, "TRAINING")
        [trainer] = service.trainers(job.id)
        trainer.kill()

    end = service.end_of(job.id)
    assert state_of(end) == "FAILED"
    assert "SIGKILL" in end.error.message
    assert "batch_size" in end.error.message


def test_torn_and_foreign_lines_lose_nothing(service: Service) -> None:
    """Lines that arrive in halves are read when they are whole, and lines that are no events are passed over."""
    end = service.end_of(service.submit("torn").id)
    assert (state_of(end), end.progress.step) == ("SUCCEEDED", 1)


def test_a_version_that_nobody_announced_is_found(service: Service) -> None:
    """A trainer that is killed right after publishing still ends its job SUCCEEDED and promoted: the store decides."""
    job = service.submit("silent", promote_to="production")
    assert state_of(service.end_of(job.id)) == "SUCCEEDED"
    assert service.promotions("silent") == [(1, job.id)]


def test_a_trainer_that_does_not_end_is_ended(service: Service) -> None:
    """A trainer that has said its last word and hangs is stopped; its job ends by what it said."""
    job = service.submit("linger")
    assert state_of(service.end_of(job.id)) == "SUCCEEDED"
    assert not service.trainers(job.id)


def test_the_first_snapshot_comes_at_once(service: Service) -> None:
    """The first message of a watch arrives in under a second, while a job waits in a phase and says nothing."""
    job = service.submit("pause-evaluating")
    service.wait_until(job.id, "EVALUATING")

    started_s = time.monotonic()
    first = next(service.watch(job.id))
    assert time.monotonic() - started_s < 1
    assert state_of(first) == "EVALUATING"
    service.go(job.id)
    assert state_of(service.end_of(job.id)) == "SUCCEEDED"


def test_a_watch_of_an_ended_job_ends(service: Service) -> None:
    """Watching a job that has ended gives its final state and then the stream's end."""
    job = service.submit("succeed-again")
    service.end_of(job.id)
    assert [state_of(each) for each in service.watch(job.id)] == ["SUCCEEDED"]


def test_g2_one_request_id_one_job(service: Service) -> None:
    """G2: of 16 concurrent submits with one request_id one makes the job, the others get it, and one version is reserved."""
    with ThreadPoolExecutor(16) as pool:
        jobs = list(pool.map(lambda _: service.submit("succeed-once", request_id="nightly 1"), range(16)))

    assert len({job.id for job in jobs}) == 1
    assert {job.model_version for job in jobs} == {"succeed-once@1"}
    service.end_of(jobs[0].id)
    assert service.models.versions("succeed-once") == [1]
    listed = service.training.ListTrainingJobs(pb.ListTrainingJobsRequest(model="succeed-once"))
    assert [job.id for job in listed.jobs] == [jobs[0].id]
    assert service.submit("succeed-once", request_id="nightly 1").id == jobs[0].id


def test_a_request_id_of_another_spec_is_refused(service: Service) -> None:
    """A request_id that was used with another spec or another promotion answers ALREADY_EXISTS and names the job."""
    job = service.submit("succeed-first", request_id="reused")
    with refused("ALREADY_EXISTS", "REQUEST_ID_REUSED") as refusal:
        service.submit("succeed-second", request_id="reused")
    assert refusal.why.metadata == {"request_id": "reused", "job": job.id}
    with refused("ALREADY_EXISTS", "REQUEST_ID_REUSED"):
        service.submit("succeed-first", request_id="reused", promote_to="canary")
    with refused("INVALID_ARGUMENT", "FIELD_INVALID"):
        service.submit("succeed-first", request_id="größer")


def test_validate_only_stores_nothing(service: Service) -> None:
    """validate_only answers with the resolved job and leaves neither a job nor a version number behind."""
    request = pb.CreateTrainingJobRequest(
        spec=pb.TrainingSpec(model="would-be", dataset="support"), request_id="would-be", validate_only=True
    )
    job = service.training.CreateTrainingJob(request)
    assert (job.id, job.model_version, job.spec.recipe) == ("", "", pb.TRANSFORMER_CLASSIFIER)
    assert job.spec.base_model == "all-minilm-l6-v2"
    assert not service.training.ListTrainingJobs(pb.ListTrainingJobsRequest(model="would-be")).jobs
    assert "would-be" not in service.models.models()


def test_jobs_are_listed_newest_first_in_pages(service: Service) -> None:
    """Pages hold every job of a model once, newest first, also when a job is submitted between two of them."""
    ids = [service.submit("succeed-listed", request_id=f"listed {n}").id for n in range(5)]
    request = pb.ListTrainingJobsRequest(model="succeed-listed", page_size=2)
    pages = [service.training.ListTrainingJobs(request)]
    service.submit("succeed-listed")
    while token := pages[-1].next_page_token:
        request.page_token = token
        pages.append(service.training.ListTrainingJobs(request))

    assert [[job.id for job in page.jobs] for page in pages] == [ids[:2:-1], ids[2:0:-1], ids[:1]]
    with refused("INVALID_ARGUMENT", "FIELD_INVALID"):
        service.training.ListTrainingJobs(pb.ListTrainingJobsRequest(page_token=request.page_token))
    with refused("INVALID_ARGUMENT", "FIELD_INVALID"):
        service.training.ListTrainingJobs(pb.ListTrainingJobsRequest(page_size=-1))


def test_unknown_jobs_are_not_found(service: Service) -> None:
    """Reading, watching and cancelling a job that is not there answer NOT_FOUND; a malformed id INVALID_ARGUMENT."""
    absent = "job-0123456789abcdef"
    for call in (service.job, service.cancel, lambda job_id: list(service.watch(job_id))):
        with refused("NOT_FOUND", "JOB_NOT_FOUND"):
            call(absent)
        with refused("INVALID_ARGUMENT", "NAME_MALFORMED"):
            call("nightly")


def test_all_problems_of_a_spec_come_at_once(service: Service) -> None:
    """A spec with several faults answers SPEC_INVALID with each field named."""
    knobs = pb.Hyperparameters(batch_size=0, dropout=1.5, max_tokens=4096)
    with refused("INVALID_ARGUMENT", "SPEC_INVALID") as refusal:
        service.submit("faulty", recipe=pb.ENTITY_EXTRACTOR, hyperparameters=knobs, seed=-1)

    assert {problem.field for problem in refusal.why.problems} == {
        "spec.recipe",
        "spec.seed",
        "spec.hyperparameters.batch_size",
        "spec.hyperparameters.dropout",
        "spec.hyperparameters.max_tokens",
    }


def test_what_a_spec_names_must_be_there(service: Service) -> None:
    """Unknown datasets and bases are NOT_FOUND; malformed names, also of the alias to promote, are INVALID_ARGUMENT."""
    with refused("NOT_FOUND", "DATASET_NOT_FOUND"):
        service.submit("succeed", dataset="nowhere")
    with refused("NOT_FOUND", "BASE_MODEL_NOT_FOUND"):
        service.submit("succeed", base_model="nowhere")
    for faults in ({"model": "Bank ing"}, {"dataset": "a@b"}, {"promote_to": "7"}, {"model": ""}):
        with refused("INVALID_ARGUMENT", "NAME_MALFORMED"):
            service.submit(**({"model": "succeed"} | faults))


def test_base_models_are_listed(service: Service) -> None:
    """The catalogue's default base is listed with its digest and window."""
    listed = service.training.ListBaseModels(pb.ListBaseModelsRequest()).base_models
    [default] = [base for base in listed if base.is_default]
    assert (default.id, default.available, default.max_tokens) == ("all-minilm-l6-v2", True, 512)
    assert default.digest.startswith("sha256:")


def test_no_server_path_is_allowed_by_default(service: Service) -> None:
    """A service without roots refuses every server path."""
    file = service.folder / "rows.csv"
    file.write_bytes(CSV)
    with refused("PERMISSION_DENIED", "PATH_NOT_ALLOWED"):
        service.import_csv(b"", server_path=str(file))


def test_an_alias_does_not_move_to_a_version_that_fails_a_quality_gate(service: Service) -> None:
    """The job has succeeded, its version is kept, and `error` says which gate, what was measured, and what to do."""
    end = service.end_of(service.submit("worse", promote_to="production").id)
    why = read_status(end.error)
    assert (state_of(end), why.reason) == ("SUCCEEDED", "QUALITY_GATES_FAILED")
    assert why.metadata == {"model_version": end.model_version, "checks": "slices"}
    assert "domain=loan" in why.message
    assert service.models.aliases("worse").records == []


def test_a_reason_overrides_quality_gates_and_is_kept(service: Service) -> None:
    """Of a job, in the alias's history; of a later move by hand too, which is refused without one."""
    end = service.end_of(
        service.submit("worse-but-wanted", promote_to="production", override_reason="a bug").id
    )
    assert not end.HasField("error")
    assert end.override_reason == "a bug"
    (record,) = service.models.alias_history("worse-but-wanted", "production")
    assert record.reason == "promoted by training job: a bug"

    move = {"model": "worse-but-wanted", "alias": "canary", "version": 1}
    with refused("FAILED_PRECONDITION", "QUALITY_GATES_FAILED"):
        service.registry.SetAlias(registry_pb2.SetAliasRequest(**move))
    with refused("FAILED_PRECONDITION", "QUALITY_GATES_FAILED"):
        service.registry.SetAlias(registry_pb2.SetAliasRequest(**move, reason="release 42"))
    moved = service.registry.SetAlias(registry_pb2.SetAliasRequest(**move, override_reason="looked at it"))
    assert (moved.version, moved.reason) == (1, "looked at it")


def test_the_champion_is_what_promotion_would_replace(service: Service) -> None:
    """Unless another is named; a gate that is out of its range, or a champion that is no reference, is refused by its field."""
    job = service.submit("succeed", promote_to="canary", gates=pb.QualityGates(least_metric=0.5))
    assert job.spec.gates == pb.QualityGates(champion="succeed@canary", least_metric=0.5, fewest_rows=30)
    service.end_of(job.id)
    named = service.submit("succeed", gates=pb.QualityGates(champion="succeed@1", most_points_lost=1))
    assert named.spec.gates.champion == "succeed@1"
    for missing, reason in (
        ("other@3", "MODEL_NOT_FOUND"),
        ("succeed@99", "VERSION_NOT_FOUND"),
        ("succeed@nowhere", "ALIAS_NOT_FOUND"),
    ):
        with refused("NOT_FOUND", reason):
            service.submit("succeed", gates=pb.QualityGates(champion=missing, most_points_lost=1))
    with refused("INVALID_ARGUMENT", "SPEC_INVALID") as refusal:
        service.submit("succeed", gates=pb.QualityGates(most_slice_points_lost=1))
    assert refusal.why.problems[0].field == "spec.gates.champion"
    with refused("INVALID_ARGUMENT", "SPEC_INVALID") as refusal:
        service.submit("succeed", gates=pb.QualityGates(least_metric=2, fewest_rows=0))
    assert {problem.field for problem in refusal.why.problems} == {
        "spec.gates.least_metric",
        "spec.gates.fewest_rows",
    }
    with refused("INVALID_ARGUMENT", "NAME_MALFORMED"):
        service.submit("succeed", gates=pb.QualityGates(champion="no one"))


def test_a_dataset_goes_once_no_job_needs_it(service: Service) -> None:
    """DATASET_IN_USE names the job while it runs; once it has ended the rows are deleted, and then there are none to delete."""
    service.import_csv(dataset="passing")
    job = service.submit("pause-training", dataset="passing")
    service.wait_until(job.id, "TRAINING")
    delete = pb.DeleteDatasetRequest(name="passing")
    with refused("FAILED_PRECONDITION", "DATASET_IN_USE") as refusal:
        service.training.DeleteDataset(delete)
    assert refusal.why.metadata == {"dataset": "passing", "jobs": job.id}
    service.cancel(job.id)
    service.end_of(job.id)
    assert list(service.training.DeleteDataset(delete).deleted) == [job.spec.dataset]
    with refused("NOT_FOUND", "DATASET_NOT_FOUND"):
        service.training.DeleteDataset(delete)
