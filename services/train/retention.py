"""Rows that go: because somebody says so, or because they are older than their owner wants. What unfinished jobs need stays."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.errors import ArtifactCorruptError, DatasetInUseError, DatasetNotFoundError, TagsmithError
from shared.names import DatasetName
from shared.store.datasets import DatasetStore
from shared.telemetry.logs import get_logger

_log = get_logger()

INTERVAL_S: Final = 3600.0  # between looks: what is old by days need not go by the minute
_MOST_NAMED: Final = 10  # jobs

InUse = Callable[
    [], Iterable[tuple[str, str]]
]  # (job, snapshot) for what jobs need that have not ended; blocks


class Retention:
    """Deletes snapshots."""

    def __init__(
        self,
        datasets: DatasetStore,
        in_use: InUse,
        turn: asyncio.Lock,
        submitting: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`turn` is held while rows are deleted, so that no import of the same ones is half way; `submitting`, so that no job is accepted that needs them."""
        self._datasets = datasets
        self._in_use = in_use
        self._turn = turn
        self._submitting = submitting

    async def delete(self, name: str) -> list[str]:
        """Delete a snapshot or all of a dataset's; return their names. Raises DatasetInUseError, DatasetNotFoundError."""
        parsed = DatasetName.parse(name, field="name")
        async with self._turn:
            return await asyncio.to_thread(self._delete, parsed)

    async def expire(self, before: datetime) -> list[str]:
        """Delete every snapshot that was imported last before `before` and that no job needs; return their names."""
        async with self._turn:
            return await asyncio.to_thread(self._expire, before)

    async def expire_for_ever(self, retention_days: float | None, *, interval_s: float = INTERVAL_S) -> None:
        """Delete snapshots once they are older than `retention_days`; None: never. Until it is cancelled."""
        while retention_days is not None:
            try:
                for name in await self.expire(datetime.now(UTC) - timedelta(days=retention_days)):
                    _log.info("dataset_expired", dataset=name)
            except (
                TagsmithError
            ) as error:  # the store is away, or a record is damaged: the next look may do better
                _log.warning("datasets_not_expired", reason=error.reason, message=error.message)
            await asyncio.sleep(interval_s)

    def _delete(self, name: DatasetName) -> list[str]:
        with self._submitting():
            return self._delete_unless_needed(name)

    def _delete_unless_needed(self, name: DatasetName) -> list[str]:
        jobs = sorted(
            {
                job
                for job, used in self._in_use()
                if used == str(name) or (not name.digest and used.startswith(f"{name}@"))
            }
        )
        if jobs:
            named = jobs[:_MOST_NAMED]
            raise DatasetInUseError(
                f"{name} is needed by jobs that have not ended: {', '.join(named)}.",
                dataset=str(name),
                jobs=",".join(named),
            )
        return self._datasets.delete(name)

    def _expire(self, before: datetime) -> list[str]:
        everything = [
            DatasetName(name, digest)
            for name in self._datasets.names()
            for digest in self._datasets.digests(name)
        ]
        return [
            deleted
            for each in everything
            if self._is_older(each, before)
            for deleted in self._delete_if_free(each)
        ]

    def _delete_if_free(self, name: DatasetName) -> list[str]:
        with self._submitting():  # for one at a time: whoever submits does not wait for a whole sweep
            used = {snapshot for _, snapshot in self._in_use()}
            return [] if str(name) in used else self._datasets.delete(name)

    def _is_older(self, name: DatasetName, before: datetime) -> bool:
        """A snapshot that cannot be read is no reason to keep the others: it waits for somebody who looks at it."""
        try:
            return self._datasets.import_time(self._datasets.snapshot(name)) < before
        except (ArtifactCorruptError, DatasetNotFoundError) as error:
            _log.warning("dataset_not_expired", dataset=str(name), reason=error.reason)
            return False
