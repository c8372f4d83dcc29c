"""Every adapter of the store's port, behind one fixture: what is claimed of one is claimed of all."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shared.store.folder import FolderStore
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from shared.store.port import ObjectStore

MakeStore = Callable[[], ObjectStore]


@pytest.fixture(scope="session", params=["memory", "folder"])
def make_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    """Return a maker of empty stores."""
    if request.param == "memory":
        return MemoryStore
    return lambda: FolderStore(tmp_path_factory.mktemp("store"))


@pytest.fixture
def objects(make_store: MakeStore) -> ObjectStore:
    """Return an empty store."""
    return make_store()


@pytest.fixture
def store(objects: ObjectStore) -> ModelStore:
    """Return the model store in `objects`."""
    return ModelStore(objects)


@pytest.fixture
def folder_store(tmp_path: Path) -> FolderStore:
    """Return an empty folder store, at `tmp_path / "store"`."""
    return FolderStore(tmp_path / "store")
