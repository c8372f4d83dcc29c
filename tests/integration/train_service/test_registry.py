"""RegistryService over a real socket and a real store, with versions that no trainer had to make."""

import shutil
from pathlib import Path

import pytest

from services.cli.paging import PAGE_SIZE, all_pages
from services.cli.session import Session
from shared.names import VersionName
from shared.rpc.server import MAX_MESSAGE_BYTES
from shared.rpc.status import read_status
from shared.store.manifest import GoldenExample
from shared.store.records import seal
from shared.stubs.registry.v1 import registry_pb2 as pb
from tests.integration.train_service.harness import Service, refused
from tests.tiny import publish_tiny, tiny_manifest


@pytest.fixture(scope="module")
def versions(service: Service, tmp_path_factory: pytest.TempPathFactory) -> list[VersionName]:
    """`intents@1` to `@4`, the third refused by its gate; `production` points to 1."""
    scratch = tmp_path_factory.mktemp("scratch")
    made = [
        publish_tiny(
            service.models,
            "intents",
            "classification",
            scratch=scratch,
            job_id=f"job-{n:016x}",
            state="rejected" if n == 3 else "published",
            seed=n,
        )
        for n in range(1, 5)
    ]
    move(service, 1)
    return made


def move(service: Service, version: int, **fields: object) -> pb.Alias:
    """Move `intents@production`."""
    fields = {"model": "intents", "alias": "production", "version": version} | fields
    return service.registry.SetAlias(pb.SetAliasRequest(**fields))  # type: ignore[arg-type]


def test_a_version_is_shown_whole(service: Service, versions: list[VersionName]) -> None:
    """A version has its state, labels, metrics, lineage, size, gate checks, aliases, and its manifest as JSON."""
    shown = service.registry.GetModelVersion(pb.GetModelVersionRequest(model_version="intents"))
    manifest = service.models.manifest(versions[0])

    assert (shown.name, shown.state, shown.task) == ("intents@1", pb.ModelVersion.PUBLISHED, "classification")
    assert tuple(shown.labels) == manifest.labels
    assert shown.metrics["validation.accuracy"] == 1.0
    assert dict(shown.row_counts) == {"validation": 3}
    assert shown.job == "job-0000000000000001"
    assert shown.size_bytes == sum(file.size_bytes for file in manifest.files)
    assert [(check.name, check.passed) for check in shown.gate_checks] == [("fp32.logits", True)]
    assert list(shown.aliases) == ["production"]
    assert type(manifest).model_validate_json(shown.manifest_json) == manifest


def test_versions_are_listed_newest_first_in_pages(service: Service, versions: list[VersionName]) -> None:
    """Pages hold every version, the refused one too, newest first."""
    first = service.registry.ListModelVersions(pb.ListModelVersionsRequest(model="intents", page_size=3))
    rest = service.registry.ListModelVersions(
        pb.ListModelVersionsRequest(model="intents", page_token=first.next_page_token)
    )
    names = [each.name for each in (*first.versions, *rest.versions)]
    assert names == [str(version) for version in reversed(versions)]
    assert rest.next_page_token == ""
    assert first.versions[1].state == pb.ModelVersion.REJECTED
    with refused("INVALID_ARGUMENT", "FIELD_INVALID"):  # a token of another list
        service.registry.ListModels(pb.ListModelsRequest(page_token=first.next_page_token))


def test_a_list_of_many_versions_is_small(service: Service, tmp_path: Path) -> None:
    """A page as the command line asks for it, of as many versions as it holds, stays below gRPC's 4 MiB and quotes no golden text."""
    manifest, paths = tiny_manifest(tmp_path / "files", "classification", model="often")
    for path in paths.values():
        service.models.put_file(path)
    golden = tuple(GoldenExample(text="secret " * 140, label=manifest.labels[0]) for _ in range(16))
    for n in range(1, PAGE_SIZE + 1):
        version = service.models.reserve("often", f"job-{n:016x}")
        lineage = manifest.lineage.model_copy(update={"job_id": f"job-{n:016x}"})
        service.models.publish(
            manifest.model_copy(
                update={"number": version.number, "lineage": lineage, "golden_examples": golden}
            )
        )

    with Session(train_address=f"127.0.0.1:{service.ready['port']}", infer_address="unused") as session:
        request = pb.ListModelVersionsRequest(model="often")
        [page] = all_pages(session, session.registry.ListModelVersions, request)
        whole = session.registry.GetModelVersion(pb.GetModelVersionRequest(model_version="often@7"))
    assert len(page.versions) == PAGE_SIZE
    assert page.ByteSize() < MAX_MESSAGE_BYTES
    assert b"secret" not in page.SerializeToString()
    assert "secret" in whole.manifest_json
    assert page.versions[-7].name == whole.name
    whole.manifest_json = ""
    assert page.versions[-7] == whole


def test_models_are_listed_with_their_aliases(service: Service, versions: list[VersionName]) -> None:
    """A model shows its newest version and where its aliases point; a reserved number alone is no version."""
    service.models.reserve("reserved-only", "job-00000000000000aa")
    shown = {each.name: each for each in service.registry.ListModels(pb.ListModelsRequest()).models}
    assert shown["intents"].latest_version == versions[-1].number
    assert [each.alias for each in shown["intents"].aliases] == ["production"]
    assert shown["reserved-only"].latest_version == 0


def test_promotion_and_rollback_are_moves_of_an_alias(service: Service, versions: list[VersionName]) -> None:
    """Moves are kept newest first with who and why; a move to where it points adds none; a wrong expectation is ABORTED."""
    move(service, 2, actor="ops", reason="better", expected_version=1)
    moved = move(service, 2, actor="somebody else")
    assert (moved.version, moved.previous_version, moved.actor) == (2, 1, "ops")
    with refused("ABORTED", "ALIAS_CONFLICT") as refusal:
        move(service, 4, expected_version=1)
    assert refusal.why.metadata["current"] == "2"
    move(service, 1, actor="ops", reason="rollback")

    request = pb.ListAliasHistoryRequest(model="intents", alias="production", page_size=2)
    first = service.registry.ListAliasHistory(request)
    request.page_token = first.next_page_token
    rest = service.registry.ListAliasHistory(request)
    moves = [(each.sequence, each.version, each.reason) for each in (*first.moves, *rest.moves)]
    assert moves == [(3, 1, "rollback"), (2, 2, "better"), (1, 1, "")]


def test_two_versions_are_compared(service: Service, versions: list[VersionName]) -> None:
    """Of one dataset: every metric, before and after. A version that is not there is NOT_FOUND, as everywhere."""
    told = service.registry.CompareVersions(pb.CompareVersionsRequest(before="intents@1", after="intents@2"))
    assert (told.before, told.after) == ("intents@1", "intents@2")
    (validation,) = told.splits
    assert {each.name: (each.before, each.after) for each in validation.metrics} == {
        "accuracy": (1, 1),
        "macro_f1": (1, 1),
    }
    with refused("NOT_FOUND", "VERSION_NOT_FOUND"):
        service.registry.CompareVersions(pb.CompareVersionsRequest(before="intents@1", after="intents@99"))


def test_a_refused_version_is_never_promoted(service: Service, versions: list[VersionName]) -> None:
    """SetAlias to a version that its gate refused answers FAILED_PRECONDITION."""
    with refused("FAILED_PRECONDITION", "VERSION_REJECTED"):
        move(service, versions[2].number)


@pytest.mark.parametrize(
    "fields",
    [
        {"version": 0},
        {"version": -1},
        {"version": 10_000_000},
        {"expected_version": -1},
        {"actor": "a" * 257},
        {"reason": "r" * 1025},
    ],
    ids=lambda fields: "-".join(fields),
)
def test_fields_out_of_range_are_refused(
    service: Service, versions: list[VersionName], fields: dict[str, object]
) -> None:
    """SetAlias names the field that is out of its range."""
    with refused("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        move(service, **({"version": 1} | fields))  # type: ignore[arg-type]
    assert refusal.why.metadata["field"] in fields


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("nowhere", "MODEL_NOT_FOUND"),
        ("intents@99", "VERSION_NOT_FOUND"),
        ("intents@canary", "ALIAS_NOT_FOUND"),
    ],
)
def test_what_is_not_there_is_not_found(
    service: Service, versions: list[VersionName], reference: str, reason: str
) -> None:
    """Unknown models, versions and aliases answer NOT_FOUND, each with its reason; malformed ones INVALID_ARGUMENT."""
    with refused("NOT_FOUND", reason):
        service.registry.GetModelVersion(pb.GetModelVersionRequest(model_version=reference))
    with refused("INVALID_ARGUMENT", "NAME_MALFORMED"):
        service.registry.GetModelVersion(pb.GetModelVersionRequest(model_version=reference + "@@"))


def test_lists_of_what_is_not_there_are_not_found(service: Service, versions: list[VersionName]) -> None:
    """Versions of an unknown model and moves of an unknown alias answer NOT_FOUND."""
    with refused("NOT_FOUND", "MODEL_NOT_FOUND"):
        service.registry.ListModelVersions(pb.ListModelVersionsRequest(model="nowhere"))
    with refused("NOT_FOUND", "ALIAS_NOT_FOUND"):
        service.registry.ListAliasHistory(pb.ListAliasHistoryRequest(model="intents", alias="canary"))


def test_a_damaged_record_is_data_loss(service: Service, tmp_path: Path) -> None:
    """A manifest that was tampered with answers DATA_LOSS with its key and quotes nothing of it."""
    version = publish_tiny(service.models, "damaged", "classification", scratch=tmp_path)
    [file] = (service.folder / "store").glob("models/damaged/versions/*/manifest.json")
    file.chmod(0o644)
    file.write_text("{}")
    with refused("DATA_LOSS", "ARTIFACT_CORRUPT") as refusal:
        service.registry.GetModelVersion(pb.GetModelVersionRequest(model_version=str(version)))
    assert "manifest.json" in refusal.why.metadata["key"]


def test_a_damaged_record_hides_no_other(
    service: Service, versions: list[VersionName], tmp_path: Path
) -> None:
    """Lists show what can be read and tell of what cannot; only asking for the damaged thing itself fails."""
    mixed = [
        publish_tiny(service.models, "mixed", "classification", scratch=tmp_path, seed=n) for n in range(2)
    ]
    for alias in ("canary", "production"):
        move(service, 2, model="mixed", alias=alias)
    folder = service.folder / "store" / "models" / "mixed"
    for file in (
        folder / "versions" / "0000001" / "manifest.json",
        folder / "aliases" / "canary" / "00000001.json",
    ):
        file.chmod(0o644)
        file.write_bytes(file.read_bytes().replace(b"mixed", b"muxed"))

    listed = {model.name: model for model in service.registry.ListModels(pb.ListModelsRequest()).models}
    assert [alias.alias for alias in listed["mixed"].aliases] == ["production"]
    assert listed["mixed"].latest_version == 2
    assert read_status(listed["mixed"].error).reason == "ARTIFACT_CORRUPT"
    assert "canary" in listed["mixed"].error.message
    assert not listed["intents"].HasField("error")

    shown = service.registry.GetModelVersion(pb.GetModelVersionRequest(model_version="mixed@2"))
    assert list(shown.aliases) == ["production"]
    newest, oldest = service.registry.ListModelVersions(pb.ListModelVersionsRequest(model="mixed")).versions
    assert (newest.name, newest.HasField("error")) == (str(mixed[1]), False)
    assert list(newest.aliases) == ["production"]
    assert (oldest.name, read_status(oldest.error).reason) == (str(mixed[0]), "ARTIFACT_CORRUPT")

    manifest = folder / "versions" / "0000001" / "manifest.json"
    manifest.write_bytes(seal(b'{"schema_version":9}'))
    _, newer = service.registry.ListModelVersions(pb.ListModelVersionsRequest(model="mixed")).versions
    assert read_status(newer.error).reason == "MODEL_NOT_LOADABLE"

    shutil.rmtree(folder / "versions")
    listed = {model.name: model for model in service.registry.ListModels(pb.ListModelsRequest()).models}
    assert read_status(listed["mixed"].error).reason == "MODEL_NOT_FOUND"
    assert not listed["intents"].HasField("error")
    shutil.rmtree(folder)
