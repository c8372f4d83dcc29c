"""From new rows to live in one call: the training service, its trainer (a stand-in that publishes tiny versions), and three inference servers."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from shared.names import VersionName
from shared.rpc.status import read_status
from shared.store.layout import manifest as manifest_key
from shared.store.records import seal
from shared.stubs.training.v1 import training_pb2 as pb
from tests.integration.rollout.fleet import Mirror, Server, fleet
from tests.integration.train_service.harness import CSV, Service, refused, state_of
from tests.tiny import tiny_manifest

MODEL = "succeed"
SEEDS = {f"{MODEL}@{number}": 0 for number in range(1, 5)}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A training service whose model has a version in production."""
    service = Service(tmp_path)
    try:
        service.start()
        service.import_csv()
        first = service.submit(MODEL, promote_to="production", gates=pb.QualityGates(least_metric=0.5))
        assert state_of(service.end_of(first.id)) == "SUCCEEDED"
        yield service
    finally:
        service.close()


def retrain(service: Service, servers: list[Server], **asked: Any) -> list[pb.TrainingJob]:
    """Ask for it, and watch it to its end."""
    target = ",".join(server.address for server in servers)
    request = pb.RetrainModelRequest(**({"model": MODEL, "inference_target": target} | asked))
    return list(service.watch(service.training.RetrainModel(request).id))


async def test_new_rows_go_live_on_every_server(tmp_path: Path, service: Service) -> None:
    """The job is as the version was trained, on the rows that there are now; it ends when all three answer with the new version."""
    newer = service.import_csv(b"text,label,split\nmy new card,billing,train\n" + CSV.partition(b"\n")[2])
    async with fleet(service.folder / "store", tmp_path, MODEL, SEEDS, {}, {}, {}) as servers:
        seen = await asyncio.to_thread(retrain, service, servers, request_id="nightly")
        end = seen[-1]
        assert (state_of(end), end.HasField("error")) == ("SUCCEEDED", False)
        assert (end.rollout.live_count, end.rollout.address_count) == (3, 3)
        assert end.spec.dataset == newer.name
        assert (end.spec.gates.least_metric, end.spec.gates.champion) == (0.5, f"{MODEL}@1")
        assert service.promotions(MODEL) == [(2, end.id), (1, service.promotions(MODEL)[1][1])]
        for server in servers:
            await server.until_answers(VersionName(MODEL, 2), within_s=2)
            assert server.failures == []
        again = service.training.RetrainModel(
            pb.RetrainModelRequest(model=MODEL, request_id="nightly", inference_target=end.inference_target)
        )
        assert again.id == end.id  # although the alias points to another version by now
    kinds = [
        each.kind
        for each in service.training.ListTrainingJobEvents(pb.ListTrainingJobEventsRequest(id=end.id)).events
    ]
    assert pb.TrainingJobEvent.ROLLOUT_CHANGED in kinds


async def test_a_server_that_fails_its_golden_examples_takes_everybody_back(
    tmp_path: Path, service: Service
) -> None:
    """One of three reads a copy of the store whose manifest of the new version is another one: the alias goes back, and the job says where and why."""
    mirror = Mirror(service.folder / "store", tmp_path / "mirror" / "store")
    manifest, _ = tiny_manifest(
        tmp_path / "wrong", "classification", model=MODEL, number=2, job_id="job-0000000000000001"
    )
    wrong = [each.model_copy(update={"label": manifest.labels[-1]}) for each in manifest.golden_examples]
    mirror.write(
        manifest_key(manifest.version),
        seal(manifest.model_copy(update={"golden_examples": tuple(wrong)}).model_dump_json().encode()),
    )
    settings: list[dict[str, Any]] = [{}, {}, {"store": mirror.folder}]
    async with fleet(service.folder / "store", tmp_path, MODEL, SEEDS, *settings) as servers:
        mirroring = asyncio.create_task(mirror.follow())
        end = (await asyncio.to_thread(retrain, service, servers))[-1]
        why = read_status(end.error)
        assert (state_of(end), why.reason) == ("SUCCEEDED", "ROLLOUT_FAILED")
        assert servers[2].address in end.error.message
        assert "golden" in end.error.message
        assert service.models.alias(MODEL, "production").version == 1
        for server in servers:
            await server.until_answers(VersionName(MODEL, 1))
            assert server.failures == []
        mirroring.cancel()
        with suppress(asyncio.CancelledError):
            await mirroring


def test_what_cannot_go_live_is_refused(service: Service) -> None:
    """Hosts that nobody allowed, promotions that contradict themselves and models that are not there are told at once, and nothing is submitted."""
    for asked, code, reason in (
        ({"inference_target": "example.com:50051"}, "PERMISSION_DENIED", "PATH_NOT_ALLOWED"),
        ({"inference_target": "nonsense"}, "INVALID_ARGUMENT", "FIELD_INVALID"),
        ({"promote": "NEVER"}, "INVALID_ARGUMENT", "FIELD_INVALID"),
        ({"promote": "ALWAYS_WITH_REASON"}, "INVALID_ARGUMENT", "SPEC_INVALID"),
        ({"override_reason": "a bug"}, "INVALID_ARGUMENT", "SPEC_INVALID"),
        ({"model": "nobody"}, "NOT_FOUND", "MODEL_NOT_FOUND"),
        ({"alias": "nowhere"}, "NOT_FOUND", "ALIAS_NOT_FOUND"),
    ):
        fields = {"model": MODEL, "inference_target": "localhost:1"} | asked
        with refused(code, reason):
            service.training.RetrainModel(pb.RetrainModelRequest(**fields))
    assert len(service.training.ListTrainingJobs(pb.ListTrainingJobsRequest()).jobs) == 1
