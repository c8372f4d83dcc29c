"""The gate that a stopping server closes."""

import asyncio

import pytest

from services.infer.gate import Gate
from shared.errors import ServerDrainingError


async def test_a_closed_gate_lets_nobody_in_and_waits_for_those_inside() -> None:
    """New calls get SERVER_DRAINING with a delay to retry; those in flight end as if nothing were."""
    gate, leave = Gate(), asyncio.Event()

    async def call() -> str:
        with gate.entered():
            await leave.wait()
            return "answered"

    inside = asyncio.create_task(call())
    await asyncio.sleep(0)
    closing = asyncio.create_task(gate.close())
    await asyncio.sleep(0)
    with pytest.raises(ServerDrainingError) as caught, gate.entered():
        pass
    assert caught.value.retry_after_ms
    assert not closing.done()
    leave.set()
    assert await inside == "answered"
    await closing


async def test_an_empty_gate_closes_at_once() -> None:
    """Also after calls that failed."""
    gate = Gate()
    with pytest.raises(ValueError), gate.entered():
        raise ValueError
    await gate.close()
