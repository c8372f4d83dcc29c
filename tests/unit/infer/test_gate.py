"""The gate that a stopping server closes."""

import asyncio
from typing import Any

import pytest

from services.infer.gate import Gate
from shared.errors import ServerDrainingError

pytestmark = pytest.mark.looptime


async def test_a_closed_gate_lets_nobody_in_and_waits_for_those_inside() -> None:
    """New calls get SERVER_DRAINING with a delay to retry; those in flight end as if nothing were."""
    gate, leave = Gate(), asyncio.Event()

    async def call() -> str:
        with gate:
            await leave.wait()
            return "answered"

    inside = asyncio.create_task(call())
    await asyncio.sleep(0)
    closing = asyncio.create_task(gate.close())
    await asyncio.sleep(0)
    with pytest.raises(ServerDrainingError) as caught, gate:
        pass
    assert caught.value.retry_after_ms
    assert not closing.done()
    leave.set()
    assert await inside == "answered"
    await closing


async def test_closing_waits_for_a_moment_without_callers(looptime: Any) -> None:
    """As long as callers knock it waits a little, so that gRPC's shutdown drops none of them; after a quiet tenth of a second it is
    done, also after calls that failed.
    """
    gate = Gate()
    with pytest.raises(ValueError), gate:
        raise ValueError
    closing = asyncio.create_task(gate.close())
    for _ in range(10):
        await asyncio.sleep(0.05)
        with pytest.raises(ServerDrainingError), gate:
            pass
    await closing
    assert 0.6 <= looptime < 0.8


async def test_a_caller_that_never_leaves_cannot_keep_the_server(looptime: Any) -> None:
    """The wait for quiet ends after two seconds."""
    gate = Gate()
    closing = asyncio.create_task(gate.close())
    await asyncio.sleep(0)
    while not closing.done():
        with pytest.raises(ServerDrainingError), gate:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
    assert looptime < 2.2
