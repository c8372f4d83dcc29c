"""Many calls over one stream: read while there is room, answered as they are ready. Event loop only.

Invariants: every message that was read is answered, unless the caller leaves; no more is read than the allowance, so that HTTP/2
holds back a sender who is faster than the models. When `stop` is set nothing more is read, what was read is answered, and then
the stream fails with ServerDrainingError.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from services.infer.gate import draining

R = TypeVar("R")
P = TypeVar("P")


async def answer_stream(
    messages: AsyncIterator[R],
    answer: Callable[[R], Awaitable[P]],
    *,
    weight: Callable[[R], float],
    stop: asyncio.Event,
) -> AsyncIterator[P]:
    """Yield the answers of `messages` as they are ready. `weight`: a message's part of what may be worked on at once, of 1."""
    # Told one by one: to wait for all at once costs by their number.
    ended: asyncio.Queue[asyncio.Task[Any]] = asyncio.Queue()

    def begin(work: Awaitable[Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(_awaited(work))
        task.add_done_callback(ended.put_nowait)
        return task

    working: dict[asyncio.Task[P], float] = {}
    taken = 0.0
    stopping = begin(stop.wait())
    reading: asyncio.Task[R | None] | None = None
    more, stopped = True, False
    failure: BaseException | None = None  # of reading: what was read before is answered first
    try:
        while more or working:
            if more and reading is None and taken < 1:
                reading = begin(anext(messages, None))
            task = await ended.get()
            if task is reading:
                reading = None
                failure = task.exception()
                message = None if failure else task.result()
                if message is None:
                    more = False
                else:
                    part = weight(message)
                    working[begin(answer(message))] = part
                    taken += part
            elif task is stopping:
                more, stopped = False, more
            else:
                taken -= working.pop(task)
                yield task.result()
        if failure is not None:
            raise failure
        if stopped:
            raise draining()
    finally:
        left = (*working, stopping, *((reading,) if reading else ()))
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _awaited(answer: Awaitable[P]) -> P:
    return await answer
