"""Every adapter of the store's port, behind one fixture: what is claimed of one is claimed of all."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.store.bucket import BucketStore
from shared.store.folder import FolderStore
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from shared.store.port import ObjectStore
from tests.contract.store.s3_servers import BUCKET, make_bucket, moto

MakeStore = Callable[[], ObjectStore]
_NUMBERS = itertools.count()  # of a process: pytest may set up a session's fixture more than once


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """An S3 server with the bucket BUCKET; the environment by which clients reach it is set, and returned."""
    with moto() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        make_bucket(environment, BUCKET)
        yield environment


@pytest.fixture(scope="session", params=["memory", "folder", "s3"])
def make_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    """Return a maker of empty stores."""
    if request.param == "memory":
        return MemoryStore
    if request.param == "folder":
        return lambda: FolderStore(tmp_path_factory.mktemp("store"))
    request.getfixturevalue("s3")
    return lambda: BucketStore(f"s3://{BUCKET}/store-{next(_NUMBERS)}")


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
