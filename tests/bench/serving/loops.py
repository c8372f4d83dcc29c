"""The two ways to load a server: callers that wait for their answers, and arrivals that wait for nobody."""

import math
import random
import time
from collections.abc import Iterator
from typing import Final

from tests.bench.serving.channel import Channel
from tests.bench.serving.ledger import Call, Ledger
from tests.bench.serving.messages import Request

_LONGEST_WAIT_S: Final = 1.0
_LAST_ANSWERS_S: Final = 15.0  # for calls in flight at the end; those without an end then are lost


def closed_loop(
    channel: Channel,
    requests: Iterator[Request],
    ledger: Ledger,
    *,
    callers: int,
    warm_up_s: float,
    measured_s: float,
) -> int:
    """Have `callers` ask again as soon as they are answered; return calls that were lost. Raises ValueError if the requests run out.

    Of a call that began before the window or ended after it, the share of its time within the window counts: calls of many texts
    are few and end in clusters. So the callers go on until the last call that began within the window has ended.
    """
    started_s = time.monotonic()
    opens_s, closes_s = started_s + warm_up_s, started_s + warm_up_s + measured_s
    opened_s = closed_s = math.inf
    unfinished = 0  # calls that began before the window closed
    for _ in range(callers):
        _start(channel, requests, started_s)
    while closed_s == math.inf or unfinished > 0:
        ended = channel.wait(_LONGEST_WAIT_S)
        now_s = time.monotonic()
        for each in ended:
            began_s = each.call.sent_s
            if opened_s < now_s and began_s <= closed_s:
                share = (min(now_s, closed_s) - max(began_s, opened_s)) / (now_s - began_s)
                ledger.record(each, now_s, share)
            unfinished -= closed_s < math.inf and began_s <= closed_s
            _start(channel, requests, now_s)
        if opened_s == math.inf and now_s >= opens_s:
            ledger.open()
            opened_s = ledger.opened_s
        elif closed_s == math.inf and now_s >= closes_s:
            ledger.close()
            closed_s, unfinished = ledger.closed_s, channel.calls_in_flight
        elif opened_s < now_s < closed_s:
            ledger.watch(now_s)
    return _drain(channel)


def _start(channel: Channel, requests: Iterator[Request], now_s: float) -> None:
    request = next(requests, None)
    if request is None:
        raise ValueError("the requests did not last")
    channel.start(Call(request, now_s, now_s), request.message)


def open_loop(
    channel: Channel,
    requests: Iterator[Request],
    ledger: Ledger,
    *,
    calls_per_s: float,
    warm_up_s: float,
    measured_s: float,
    timeout_ms: int | None = None,
    seed: int,
) -> int:
    """Send calls at random moments (Poisson), whatever becomes of them; return calls that were lost.

    Calls that were meant to be sent within the window are counted, whenever they end.
    """
    dice = random.Random(seed)  # noqa: S311  # moments of calls, no secret
    started_s = time.monotonic()
    opens_s, closes_s = started_s + warm_up_s, started_s + warm_up_s + measured_s
    next_s = started_s + dice.expovariate(calls_per_s)
    is_open = False
    now_s = started_s
    while next_s < closes_s:
        while next_s <= now_s and next_s < closes_s:
            request = next(requests)
            channel.start(Call(request, next_s, now_s), request.message, timeout_ms)
            next_s += dice.expovariate(calls_per_s)
        ended = channel.wait(next_s - now_s)
        now_s = time.monotonic()
        if not is_open and now_s >= opens_s:
            is_open = True
            ledger.open()
        for each in ended:
            if each.call.intended_s >= opens_s:
                ledger.record(each, now_s)
        if is_open:
            ledger.watch(now_s)
    ledger.close()
    return _drain(channel, ledger, opens_s)


def _drain(channel: Channel, ledger: Ledger | None = None, opens_s: float = 0.0) -> int:
    give_up_s = time.monotonic() + _LAST_ANSWERS_S
    while channel.calls_in_flight and (now_s := time.monotonic()) < give_up_s:
        for each in channel.wait(give_up_s - now_s):
            if ledger is not None and each.call.intended_s >= opens_s:
                ledger.record(each, time.monotonic())
    return channel.calls_in_flight
