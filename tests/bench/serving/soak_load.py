"""The soak's load: the same calls to Tagsmith and to a bare echo server, for some seconds at some rate. A Worker's module."""

import heapq
import random
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from tests.bench.serving import frames
from tests.bench.serving.channel import Channel
from tests.bench.serving.frames import status_name
from tests.bench.serving.http2 import Connection, Ended
from tests.bench.serving.messages import CLASSIFY, best_labels
from tests.bench.serving.soak_calls import CallMaker, SoakCall
from tests.bench.serving.texts import read_texts
from tests.bench.serving.workers import answer_questions

_CHECKED_EVERY: Final = 10  # answers
_LAST_ANSWERS_S: Final = 20.0

# When, a number that no other has, where, and where it is counted.
Cancellation = tuple[float, int, Connection, int, Counter[str]]


class Soak:
    """Calls at random; what became of them."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._expected: Sequence[Sequence[str]] = ()
        self._serial = 0

    def open(self, corpus: str, count: int, expected: Sequence[Sequence[str]]) -> dict[str, Any]:
        """Choose the pool of texts and the labels that each may get."""
        self._texts, self._expected = read_texts(corpus, 0, count), expected
        return {}

    def phase(
        self,
        addresses: dict[str, str],
        model: str,
        on_demand: Sequence[str],
        calls_per_s: float,
        seconds: float,
        seed: int,
    ) -> dict[str, dict[str, int]]:
        """Load `tagsmith` and `echo` for some seconds, then wait for all that is in flight; return counts for each."""
        maker = CallMaker(self._texts, model, on_demand, seed)
        dice = random.Random(seed)  # noqa: S311  # moments of calls, no secret
        counts: dict[str, Counter[str]] = {name: Counter() for name in addresses}
        channels = {name: Channel(address, CLASSIFY) for name, address in addresses.items()}
        cancellations: list[Cancellation] = []
        now_s = time.monotonic()
        closes_s, next_s = now_s + seconds, now_s
        while now_s < closes_s:
            while next_s <= now_s:
                self._start(maker.make(), channels, counts, cancellations, now_s)
                next_s += dice.expovariate(calls_per_s)
            _cancel(cancellations, now_s)
            wait_s = min(next_s, *(each[0] for each in cancellations[:1]), closes_s) - now_s
            for name, channel in channels.items():
                # Half the time on each: both are read often enough, and neither keeps the other waiting.
                self._take(channel.wait(wait_s / len(channels)), counts[name], is_answer=name == "tagsmith")
            now_s = time.monotonic()
        for name, channel in channels.items():
            give_up_s = time.monotonic() + _LAST_ANSWERS_S
            while channel.calls_in_flight and time.monotonic() < give_up_s:
                self._take(channel.wait(1.0), counts[name], is_answer=name == "tagsmith")
            counts[name]["lost"] += channel.calls_in_flight
            channel.close()
        return {name: dict(each) for name, each in counts.items()}

    def _start(
        self,
        call: SoakCall,
        channels: dict[str, Channel],
        counts: dict[str, Counter[str]],
        cancellations: list[Cancellation],
        now_s: float,
    ) -> None:
        for name, channel in channels.items():
            connection, number = channel.start(call, call.message, call.timeout_ms)
            counts[name]["calls"] += 1
            if call.cancel_after_s is not None:
                self._serial += 1
                moment_s = now_s + call.cancel_after_s
                heapq.heappush(cancellations, (moment_s, self._serial, connection, number, counts[name]))

    def _take(self, ended: Sequence[Ended], counts: Counter[str], *, is_answer: bool) -> None:
        for each in ended:
            call: SoakCall = each.call
            counts["ended"] += 1
            counts[status_name(each.status)] += 1
            if not is_answer:
                continue
            if each.status not in call.may_end:
                counts["unexpected"] += 1
                counts[f"unexpected {status_name(each.status)}"] += 1
            if each.status == frames.OK and call.places:
                counts["answers"] += 1
                if counts["answers"] % _CHECKED_EVERY == 0:
                    counts["checked"] += 1
                    counts["wrong"] += not self._is_right(call, each.body)

    def _is_right(self, call: SoakCall, body: bytes) -> bool:
        labels = best_labels(body)
        return len(labels) == len(call.places) and all(
            label in self._expected[place] for label, place in zip(labels, call.places, strict=True)
        )


def _cancel(cancellations: list[Cancellation], now_s: float) -> None:
    while cancellations and cancellations[0][0] <= now_s:
        _, _, connection, number, counts = heapq.heappop(cancellations)
        counts["cancelled"] += connection.cancel(number) is not None


if __name__ == "__main__":
    soak = Soak()
    answer_questions({"open": soak.open, "phase": soak.phase})
