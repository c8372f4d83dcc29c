"""Jobs that several tests look at, each carried out once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from shared.store.manifest import Task
from tests.bases import tiny_base
from tests.integration.trainer.world import Outcome, Workplace

__all__ = ["tiny_base"]

Trained = Callable[[Task, bool], Outcome]


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """One store for all jobs of the session."""
    return Workplace(tmp_path_factory.mktemp("workplace"))


@pytest.fixture(scope="session")
def trained(workplace: Workplace, tiny_base: Path) -> Trained:
    """`trained(task, adaptable)`: a job on the tiny base with its usual rows."""

    @cache
    def carry_out(task: Task, adaptable: bool) -> Outcome:
        return workplace.train(workplace.assign(tiny_base, task, adaptable=adaptable))

    return carry_out
