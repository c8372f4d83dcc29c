"""Questions to the store on behalf of calls."""

import asyncio
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any

import pytest

from services.infer.residency.lookups import MOST_QUESTIONS, Lookups
from shared.errors import StoreUnavailableError
from shared.names import VersionName
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore


class Hanging(Executor):
    """Threads that never come back."""

    def submit(self, fn: object, /, *args: Any, **kwargs: Any) -> Future[Any]:
        job: Future[Any] = Future()
        job.set_running_or_notify_cancel()
        return job


async def test_a_store_that_hangs_does_not_collect_questions() -> None:
    """A question outlives its caller, so that their number has a bound: the next caller is told to come again."""
    lookups = Lookups(ModelStore(MemoryStore()), Hanging())
    for number in range(1, MOST_QUESTIONS + 1):
        with suppress(TimeoutError):
            await asyncio.wait_for(lookups.version(VersionName("banking", number)), 0.001)
    with pytest.raises(StoreUnavailableError) as refused:
        await lookups.version(VersionName("banking", MOST_QUESTIONS + 1))
    assert refused.value.retry_after_ms is not None
    with pytest.raises(TimeoutError):  # what is being asked already costs no further question
        await asyncio.wait_for(lookups.version(VersionName("banking", 1)), 0.001)
