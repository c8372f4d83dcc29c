"""A training service for all, and a folder that a test may start and kill its own over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.train_service.harness import Service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service with the dataset `support`, shared by all tests that do not kill it."""
    shared = Service(tmp_path_factory.mktemp("service"))
    try:
        shared.start(max_concurrent_jobs="8")
        shared.import_csv()
        yield shared
    finally:
        shared.close()


@pytest.fixture
def own_service(tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own, which it may kill; with the dataset `support`."""
    own = Service(tmp_path)
    try:
        own.start()
        own.import_csv()
        yield own
    finally:
        own.close()
