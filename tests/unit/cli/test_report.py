"""`tagsmith report`: which files it writes, and what it does not write over."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.app import app
from shared.cards.card import write_card
from shared.cards.report import write_report
from shared.store.manifest import Manifest
from shared.stubs.registry.v1 import registry_pb2
from shared.stubs.registry.v1.registry_pb2_grpc import RegistryServiceServicer
from tests.unit.cli.servers import refuse, serving
from tests.unit.shared.cards.versions import SECRET, version


class Registry(RegistryServiceServicer):
    """Knows one version, by its number and by an alias."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest_json = manifest.model_dump_json()

    def GetModelVersion(self, request, context):
        """Return it."""
        if request.model_version not in ("tiny@1", "tiny@production"):
            refuse(context, "VERSION_NOT_FOUND")
        return registry_pb2.ModelVersion(name="tiny@1", manifest_json=self.manifest_json)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """What the registry has."""
    return version(tmp_path / "version")


@pytest.fixture
def registry(manifest: Manifest) -> Registry:
    """The registry."""
    return Registry(manifest)


@pytest.fixture
def address(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the registry is; the command runs in a folder of its own."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with serving(registry=registry) as session:
        yield session.train_address


def report(address: str, *arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["--train-address", address, "report", *arguments])


def test_a_report_is_the_registrys_manifest_in_two_files(address: str, manifest: Manifest) -> None:
    """Card and report are named by model and version, and say what the manifest says; an alias is the version that it means."""
    run = report(address, "tiny@production", "--json")
    assert run.exit_code == 0, run.stderr
    assert json.loads(run.stdout) == {"model_version": "tiny@1", "card": "tiny-1.md", "html": "tiny-1.html"}
    assert Path("tiny-1.md").read_text("utf-8") == write_card(manifest)
    assert Path("tiny-1.html").read_text("utf-8") == write_report(manifest)


def test_files_are_named_and_texts_are_asked_for(address: str) -> None:
    """--card and --html name the files, in folders that are made; only --with-texts shows users' texts in them."""
    assert report(address, "tiny@1", "--card", "out/README.md", "--html", "out/report.html").exit_code == 0
    assert SECRET not in Path("out/README.md").read_text("utf-8") + Path("out/report.html").read_text("utf-8")
    assert report(address, "tiny@1", "--with-texts").exit_code == 0
    assert SECRET in Path("tiny-1.md").read_text("utf-8")
    assert SECRET in Path("tiny-1.html").read_text("utf-8")


def test_nothing_is_written_over_unless_forced(address: str) -> None:
    """Where one file is there neither is written, and the error says so; --force writes both."""
    Path("tiny-1.html").write_text("mine")
    refused = report(address, "tiny@1")
    assert refused.exit_code == 1
    assert "FILE_EXISTS: tiny-1.html is there already (--force writes over it)" in refused.stderr
    assert (Path("tiny-1.html").read_text(), Path("tiny-1.md").exists()) == ("mine", False)
    assert report(address, "tiny@1", "--force").exit_code == 0
    assert Path("tiny-1.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_what_cannot_be_written_is_said(address: str) -> None:
    """A path below a file is no place for a card."""
    Path("file").touch()
    refused = report(address, "tiny@1", "--card", "file/card.md")
    assert (refused.exit_code, "FILE_UNWRITABLE: file/card.md" in refused.stderr) == (1, True)


def test_a_version_that_is_not_there_is_said(address: str) -> None:
    """The registry's answer reaches the terminal, and no file is made."""
    refused = report(address, "tiny@9")
    assert (refused.exit_code, "VERSION_NOT_FOUND" in refused.stderr) == (1, True)
    assert not list(Path().iterdir())


def test_a_manifest_of_a_newer_release_is_said_to_be_one(address: str, registry: Registry) -> None:
    """What this release cannot read ends with one line that says what to do, and without a file."""
    registry.manifest_json = registry.manifest_json.replace('"schema_version":3', '"schema_version":99')
    refused = report(address, "tiny@1")
    assert (refused.exit_code, "MANIFEST_UNKNOWN" in refused.stderr) == (1, True)
    assert not list(Path().iterdir())
