"""The heavy parts of versions: made once for a file, shared by all that name it, freed with the last."""

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import ModelNotLoadableError
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.store.manifest import Manifest, StoredFile
from tests.tiny import tiny_manifest

LABELS = (("a", "b"), ("x", "y", "z"), ("billing", "delivery"))


class Shelf:
    """Versions and where their files lie; counts how often a file is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opened: list[str] = []
        self.paths: dict[str, Path] = {}

    def version(self, *labels: str, seed: int = 0) -> Manifest:
        """A classifier on a frozen encoder; the seed is the encoder's."""
        folder = self.folder / f"{len(self.paths)}"
        manifest, paths = tiny_manifest(folder, "classification", labels, seed=seed, frozen=True)
        self.paths |= paths
        return manifest

    def open_file(self, file: StoredFile) -> Path:
        self.opened.append(file.digest)
        return self.paths[file.digest]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty one."""
    return Shelf(tmp_path)


def _encoder(manifest: Manifest) -> StoredFile:
    return manifest.variants["fp32"].graphs["encoder"].file


def _freed(part: Callable[[], object]) -> bool:
    gc.collect()
    return part() is None


def test_versions_on_one_encoder_share_its_session_and_the_tokenizer(shelf: Shelf) -> None:
    """Each of both files is opened once for three versions; heads are each version's own."""
    parts = Parts(shelf.open_file)
    manifests = [shelf.version(*labels) for labels in LABELS]
    models = [Model.load(manifest, parts) for manifest in manifests]
    assert len({id(model.trunk) for model in models}) == 1
    assert len({id(model._reader.tokenizer) for model in models}) == 1
    assert sorted(shelf.opened) == sorted(
        {
            *(_encoder(each).digest for each in manifests),
            *(each.tokenization.file.digest for each in manifests),
            *(each.variants["fp32"].graphs["head"].file.digest for each in manifests),
        }
    )
    assert [len(model.answer(["my card"])[0]) for model in models] == [2, 3, 2]


def test_another_encoder_is_another_session(shelf: Shelf) -> None:
    """And versions that were loaded of different parts share nothing."""
    parts, one, other = Parts(shelf.open_file), shelf.version("a", "b"), shelf.version("a", "b", seed=1)
    assert _encoder(one) != _encoder(other)
    assert Model.load(one, parts).trunk is not Model.load(other, parts).trunk
    first, second = Model.load(one, parts), Model.load(one, Parts(shelf.open_file))
    assert first.trunk is not second.trunk


def test_the_same_file_read_otherwise_is_another_session(shelf: Shelf) -> None:
    """A manifest that promises other outputs of the same file must not get a session that was checked against another promise."""
    parts, manifest = Parts(shelf.open_file), shelf.version("a", "b")
    encoder = manifest.variants["fp32"].graphs["encoder"]
    session = parts.session(encoder, Execution())
    assert parts.session(encoder.model_copy(), Execution()) is session
    with pytest.raises(ModelNotLoadableError, match="its manifest says"):
        parts.session(encoder.model_copy(update={"outputs": ("pooled",)}), Execution())


def test_a_part_goes_with_the_last_version_that_uses_it(shelf: Shelf) -> None:
    """One version's end leaves the others' parts alone; a version that comes later makes them anew."""
    parts, manifest = Parts(shelf.open_file), shelf.version("a", "b")
    one, two = Model.load(manifest, parts), Model.load(shelf.version("x", "y", "z"), parts)
    trunk, tokenizer = weakref.ref(one.trunk), weakref.ref(one._reader.tokenizer)
    one.close()
    del one
    assert not _freed(trunk)
    assert not _freed(tokenizer)
    assert two.answer(["my card"])
    two.close()
    assert _freed(trunk)
    del two
    assert _freed(tokenizer)
    shelf.opened.clear()
    Model.load(manifest, parts)
    assert _encoder(manifest).digest in shelf.opened


def test_a_run_that_is_under_way_keeps_its_parts(shelf: Shelf) -> None:
    """Closing a model takes nothing from whoever still holds its trunk."""
    parts, manifest = Parts(shelf.open_file), shelf.version("a", "b")
    model = Model.load(manifest, parts)
    trunk = model.trunk
    model.close()
    gc.collect()
    assert parts.session(manifest.variants["fp32"].graphs["encoder"], Execution()) is trunk
    with pytest.raises(RuntimeError, match="closed"):
        _ = model.trunk


def test_a_file_that_cannot_be_opened_is_asked_for_again(shelf: Shelf) -> None:
    """A failure is not kept: the next version that names the file tries again."""
    manifest = shelf.version("a", "b")
    hidden = shelf.paths.pop(_encoder(manifest).digest)
    parts = Parts(shelf.open_file)
    with pytest.raises(KeyError):
        Model.load(manifest, parts)
    shelf.paths[_encoder(manifest).digest] = hidden
    assert Model.load(manifest, parts).answer(["my card"])
