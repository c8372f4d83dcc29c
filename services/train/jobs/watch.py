"""Who watches which job: every committed change fanned out to any number of readers.

Invariant: a reader sees a job's snapshots with rising revisions, the newest when it is slow, and always the final one. A reader is
one slot: publishing puts the snapshot into it and goes on, so a slow or dead reader holds nothing back and costs one record.

All of it runs in the event loop; the table's changes come in through `call_soon_threadsafe`, those of other services with the pulse.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from services.train.jobs.record import JobRecord
from shared.errors import ServerDrainingError


class Watch:
    """The readers of all jobs."""

    def __init__(self, read: Callable[[str], Awaitable[JobRecord]], *, heartbeat_s: float = 15.0) -> None:
        """`read` returns a job as it is now, or raises JobNotFoundError; a silent stream repeats its snapshot each `heartbeat_s`."""
        self._read = read
        self._heartbeat_s = heartbeat_s
        self._readers: dict[str, set[_Reader]] = {}
        self._closed = False

    @property
    def watched(self) -> set[str]:
        """The jobs that somebody watches."""
        return set(self._readers)

    def publish(self, job: JobRecord) -> None:
        """Show a change to the job's readers."""
        for reader in self._readers.get(job.id, ()):
            reader.show(job)

    def close(self) -> None:
        """End every stream with ServerDrainingError: its reader watches on elsewhere, or later."""
        self._closed = True
        for readers in self._readers.values():
            for reader in readers:
                reader.changed.set()

    async def follow(self, job_id: str, *, after_revision: int = 0) -> AsyncIterator[JobRecord]:
        """Yield snapshots of a job: one at once, then each change, up to its final state. Raises JobNotFoundError.

        A reader that has seen `after_revision` already gets the first one as soon as there is a later one, or with the heartbeat.
        """
        reader = _Reader()
        readers = self._readers.setdefault(job_id, set())
        readers.add(reader)  # before reading the table: no change falls between
        try:
            reader.show(await self._read(job_id))
            if reader.revision <= after_revision and not reader.take().is_final:
                await reader.wait(self._heartbeat_s)
            while True:
                if self._closed:
                    raise ServerDrainingError("The training service is stopping; watch again.")
                yield (job := reader.take())
                if job.is_final:
                    return
                await reader.wait(self._heartbeat_s)
        finally:
            readers.discard(reader)
            if not readers and self._readers.get(job_id) is readers:
                del self._readers[job_id]


class _Reader:
    """One slot with the newest snapshot."""

    def __init__(self) -> None:
        self._newest: JobRecord | None = None
        self.changed = asyncio.Event()

    @property
    def revision(self) -> int:
        """Of the newest snapshot, 0 before the first."""
        return self._newest.revision if self._newest else 0

    def show(self, job: JobRecord) -> None:
        """Keep the later of two snapshots; threads may deliver them out of order."""
        if self._newest is None or job.revision > self._newest.revision:
            self._newest = job
            self.changed.set()

    def take(self) -> JobRecord:
        """Return the newest snapshot, seen before or not."""
        assert self._newest is not None  # noqa: S101  # for the type checker: `follow` shows one first
        self.changed.clear()
        return self._newest

    async def wait(self, timeout_s: float) -> None:
        """Wait for a change, but no longer than `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.changed.wait()
        except TimeoutError:
            return
