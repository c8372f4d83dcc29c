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
    working: dict[asyncio.Task[P], float] = {}
    stopping: asyncio.Task[Any] = asyncio.ensure_future(stop.wait())
    reading: asyncio.Task[Any] | None = None
    more, stopped = True, False
    try:
        while more or working:
            if more and reading is None and sum(working.values()) < 1:
                reading = asyncio.ensure_future(anext(messages, None))
            waits: set[asyncio.Task[Any]] = {*working}
            if more:
                waits |= {stopping} if reading is None else {stopping, reading}
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if reading is not None and reading in done:
                message = reading.result()
                reading = None
                if message is None:
                    more = False
                else:
                    working[asyncio.ensure_future(_awaited(answer(message)))] = weight(message)
            if stopping in done and more:
                more, stopped = False, True
            for task in done & working.keys():
                del working[task]
                yield task.result()
        if stopped:
            raise draining()
    finally:
        for left in (*working, stopping, *((reading,) if reading else ())):
            left.cancel()
        await asyncio.gather(*working, return_exceptions=True)


async def _awaited(answer: Awaitable[P]) -> P:
    return await answer
