"""`tagsmith export`: what it refuses, and what it leaves behind then. That folders answer right is shown with the trainer's versions."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.app import app
from services.cli.hub_folder import config_json, tokenizer_json
from shared.store.manifest import Manifest
from shared.store.models import ModelStore
from shared.store.opening import open_store
from tests.tiny import publish_tiny, tiny_manifest


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A store in a folder."""
    return ModelStore(open_store(str(tmp_path / "store")))


def export(tmp_path: Path, version: str, *, store: str = "store") -> Result:
    """Run the command."""
    arguments = ["--hub", str(tmp_path / "hub"), "--store", str(tmp_path / store), "--json"]
    return CliRunner().invoke(app, ["export", version, *arguments])


def refusal(run: Result) -> dict[str, str]:
    """What the command says."""
    assert run.exit_code == 1
    error: dict[str, str] = json.loads(run.stderr)["error"]
    return error


def from_scratch(store: ModelStore, scratch: Path) -> str:
    """A version without a base."""
    version = store.reserve("scratch", "job-0000000000000001")
    manifest, paths = tiny_manifest(
        scratch, "classification", model="scratch", number=version.number, job_id="job-0000000000000001"
    )
    for path in paths.values():
        store.put_file(path)
    lineage = manifest.lineage.model_copy(update={"base_model": None})
    store.publish(manifest.model_copy(update={"lineage": lineage}))
    return str(version)


@pytest.mark.parametrize("form", ["{path}", "file://{path}"])
def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, form: str) -> None:
    """A slip in its name is told as such, and leaves nothing behind."""
    wrong = tmp_path / "strore"
    arguments = ["--hub", str(tmp_path / "hub"), "--store", form.format(path=wrong), "--json"]
    error = refusal(CliRunner().invoke(app, ["export", "old@1", *arguments]))
    assert error["reason"] == "FIELD_INVALID"
    assert "no store is there" in error["message"]
    assert list(tmp_path.iterdir()) == []


def test_a_version_that_no_class_of_optimum_loads_is_refused(store: ModelStore, tmp_path: Path) -> None:
    """From scratch, rejected, or from before the base's configuration was kept: each is told why, and no folder is made."""
    publish_tiny(store, "old", "classification", scratch=tmp_path)
    publish_tiny(store, "bad", "classification", scratch=tmp_path, state="rejected")
    for version, cause in (
        (from_scratch(store, tmp_path / "scratch"), "trained from scratch"),
        ("bad@1", "its gate refused it"),
        ("old@1", "train it again"),
    ):
        error = refusal(export(tmp_path, version))
        assert error["reason"] == "MODEL_NOT_LOADABLE"
        assert cause in error["message"]
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize(
    ("version", "reason"),
    [("none@1", "MODEL_NOT_FOUND"), ("tiny@9", "VERSION_NOT_FOUND"), ("tiny", "ALIAS_NOT_FOUND")],
)
def test_what_the_store_does_not_have_is_said(
    version: str, reason: str, store: ModelStore, tmp_path: Path
) -> None:
    """The store's own errors reach the terminal; a bare name means its production alias."""
    publish_tiny(store, "tiny", "classification", scratch=tmp_path)
    assert refusal(export(tmp_path, version))["reason"] == reason


def test_a_bases_presets_do_not_reach_the_folder() -> None:
    """Truncation and padding that a base's tokenizer.json carries are gone; all else of it stays."""
    stored = {
        "version": "1.0",
        "truncation": {"max_length": 128},
        "padding": {"pad_id": 0},
        "model": {"é": 1},
    }
    written = json.loads(tokenizer_json(json.dumps(stored).encode()))
    assert written == {**stored, "truncation": None, "padding": None}


def test_a_bases_own_code_task_and_labels_do_not_reach_the_folder(tmp_path: Path) -> None:
    """Of a base's configuration the architecture is taken; code to be fetched, its labels and its task are not."""
    manifest, _ = tiny_manifest(tmp_path, "entities")
    config = {
        "model_type": "bert", "hidden_size": 32, "architectures": ["BertForMaskedLM"], "id2label": {"0": "theirs"},
        "auto_map": {"AutoModel": "theirs.py"}, "_name_or_path": "/their/folder", "problem_type": "regression",
    }  # fmt: skip
    document = manifest.model_dump(mode="json")
    document["lineage"]["base_model"]["config"] = config
    written = json.loads(config_json(Manifest.model_validate(document)))
    assert written.pop("tagsmith")["max_tokens"] == 64
    tags = ["O", "B-person", "I-person", "B-place", "I-place"]
    assert written == {
        "model_type": "bert",
        "hidden_size": 32,
        "architectures": ["BertForTokenClassification"],
        "id2label": {str(number): tag for number, tag in enumerate(tags)},
        "label2id": {tag: number for number, tag in enumerate(tags)},
    }
