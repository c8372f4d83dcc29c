"""`tagsmith base add`: from a folder, and from the Hub by way of its cache."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.app import app
from services.train.catalogue import Catalogue
from tests.unit.train.test_catalogue import make_base

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def add(*arguments: str | Path):
    return CliRunner().invoke(app, ["base", "add", *map(str, arguments), "--json"])


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """A cache of the Hub, as it lies on disk, and no network: it holds `acme/Tiny-Base` at COMMIT."""
    repository = tmp_path / "hub" / "models--acme--Tiny-Base"
    make_base(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return repository


def test_a_base_of_the_hub_is_added_with_its_commit(hub, tmp_path):
    """What was fetched is what the catalogue lists, with the commit that it is of."""
    run = add("acme/Tiny-Base", "--to", tmp_path / "bases")
    assert run.exit_code == 0, run.stderr
    assert json.loads(run.stdout)["id"] == "tiny-base"
    entry = Catalogue(tmp_path / "bases").find("tiny-base")
    assert (entry.source, entry.revision, entry.parameter_count) == ("acme/Tiny-Base", COMMIT, 10)
    assert [path.name for path in (tmp_path / "bases").iterdir()] == ["tiny-base"]


def test_a_folder_is_added_under_another_name(tmp_path):
    """A folder's files are copied; nothing else of it is."""
    source = make_base(tmp_path / "source")
    (source / "pytorch_model.bin").write_bytes(b"pickles")
    run = add(source, "--to", tmp_path / "bases", "--id", "mine")
    assert run.exit_code == 0, run.stderr
    assert Catalogue(tmp_path / "bases").find("mine").revision == "local"
    assert not (tmp_path / "bases" / "mine" / "pytorch_model.bin").exists()
    again = add(source, "--to", tmp_path / "bases", "--id", "mine")
    assert (again.exit_code, json.loads(again.stderr)["error"]["reason"]) == (1, "BASE_MODEL_EXISTS")


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json", "config.json"])
def test_what_is_no_base_is_refused_and_leaves_nothing(tmp_path, missing):
    """A source that lacks a file is told which one; pickled weights do not stand in for safetensors."""
    source = make_base(tmp_path / "source")
    (source / missing).rename(source / "pytorch_model.bin")
    run = add(source, "--to", tmp_path / "bases")
    error = json.loads(run.stderr)["error"]
    assert (run.exit_code, error["reason"]) == (1, "BASE_MODEL_INVALID")
    assert missing in error["message"]
    assert list((tmp_path / "bases").iterdir()) == []


def test_what_the_hub_does_not_have_is_said(hub, tmp_path):
    """A name that is neither a folder nor on the Hub ends with one clear line."""
    run = add("acme/none", "--to", tmp_path / "bases")
    assert json.loads(run.stderr)["error"]["reason"] == "BASE_MODEL_NOT_FOUND"
    assert list((tmp_path / "bases").iterdir()) == []
