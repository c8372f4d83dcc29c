"""Ray clusters of two nodes on this machine: their processors are logical, their processes are real.

Nothing here imports Ray before a test runs, so that the other tests are collected without it. A test that has no Ray fails.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bases import tiny_base
from tests.integration.ray.world import MiniCluster
from tests.integration.trainer.world import Workplace

__all__ = ["tiny_base"]

# Before the first process of a cluster: nothing is reported to others, and nobody is killed because this machine's memory is in use.
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_memory_monitor_refresh_ms": "0"}
os.environ["PATH"] = (
    f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as on nodes, `python` is the one with Tagsmith
)


@pytest.fixture(scope="session")
def cluster() -> Iterator[MiniCluster]:
    """One cluster for all tests that leave it whole."""
    with MiniCluster.started() as started:
        yield started


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """One store for all jobs of the session."""
    return Workplace(tmp_path_factory.mktemp("workplace"))
