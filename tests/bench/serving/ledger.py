"""What became of every call of a load, within the window of time that is measured."""

import math
import time
from array import array
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from tests.bench.serving import frames, http2
from tests.bench.serving.frames import status_name
from tests.bench.serving.measures import spread_ms
from tests.bench.serving.messages import Request, best_labels, is_whole
from tests.bench.serving.processes import cpu_s, machine_cpu_s, rss_bytes

_SAMPLED_EVERY: Final = 50  # answers of which one is read whole, after the run
_RSS_EVERY_S: Final = 0.25


class Call:
    """A call in flight."""

    __slots__ = ("intended_s", "request", "sent_s")

    def __init__(self, request: Request, intended_s: float, sent_s: float) -> None:
        self.request, self.intended_s, self.sent_s = request, intended_s, sent_s


class Ledger:
    """Counts calls from `open` to `close`. Latency runs from the moment at which a call was meant to be sent."""

    def __init__(
        self, pids: Sequence[int], *, timeout_ms: int | None = None, keep_rows: bool = False
    ) -> None:
        """`pids`: the server's. `timeout_ms`: within which an answer is in time. `keep_rows`: tell of every call."""
        self._pids = pids
        self._timeout_s = math.inf if timeout_ms is None else timeout_ms / 1000
        self._rows: list[tuple[float, float, int, int]] | None = [] if keep_rows else None
        self._latencies_s: defaultdict[int, array[float]] = defaultdict(lambda: array("d"))
        self._lags_s = array("d")
        self._counts: defaultdict[int, float] = defaultdict(float)
        self._calls = self._texts = self._in_time = 0.0
        self._recorded = self._malformed = 0
        self._samples: list[tuple[Request, bytes]] = []
        self._rss_bytes: list[int] = []
        self._next_rss_s = 0.0
        self.opened_s = self.closed_s = 0.0

    def open(self) -> None:
        """Begin to count."""
        self.opened_s = time.monotonic()
        self._spent = self._spending()
        self.watch(self.opened_s)

    def close(self) -> None:
        """End the window; calls that are still in flight may yet be recorded."""
        self.closed_s = time.monotonic()
        self._spent = [now - before for now, before in zip(self._spending(), self._spent, strict=True)]
        self._rss_bytes.append(rss_bytes(self._pids))

    def watch(self, now_s: float) -> None:
        """Look at the server's memory now and then."""
        if now_s >= self._next_rss_s:
            self._next_rss_s = now_s + _RSS_EVERY_S
            self._rss_bytes.append(rss_bytes(self._pids))

    def record(self, ended: http2.Ended, now_s: float, share: float = 1.0) -> None:
        """Count a call's end, or the share of the call that lay within the window."""
        call: Call = ended.call
        latency_s = now_s - call.intended_s
        self._recorded += 1
        self._calls += share
        self._counts[ended.status] += share
        self._latencies_s[ended.status].append(latency_s)
        self._lags_s.append(call.sent_s - call.intended_s)
        if ended.status == frames.OK:
            self._texts += share * call.request.text_count
            self._in_time += share * (latency_s <= self._timeout_s)
            if not is_whole(call.request, ended.body):
                self._malformed += 1
            elif self._recorded % _SAMPLED_EVERY == 0:
                self._samples.append((call.request, ended.body))
        if self._rows is not None:
            which = next(
                (i for i, start in enumerate(call.request.starts) if ended.body.startswith(start)), -1
            )
            self._rows.append((call.intended_s, latency_s, ended.status, which))

    def figures(self) -> dict[str, Any]:
        """Return what was measured."""
        window_s = self.closed_s - self.opened_s
        server_cpu_s, own_cpu_s, machine_s = self._spent
        calls = max(self._calls, 1.0)
        return {
            "window_s": round(window_s, 3),
            "calls_per_s": round(self._calls / window_s, 2),
            "answered_per_s": round(self._counts[frames.OK] / window_s, 2),
            "in_time_per_s": round(self._in_time / window_s, 2),
            "in_time_share": round(self._in_time / max(self._counts[frames.OK], 1.0), 5),
            "texts_per_s": round(self._texts / window_s, 2),
            "statuses": {
                status_name(status): round(count, 1) for status, count in self._counts.items() if count
            },
            "malformed": self._malformed,
            "latency_ms": {
                status_name(status): spread_ms(each) for status, each in self._latencies_s.items()
            },
            "sent_late_ms": spread_ms(self._lags_s),
            "server_cpu_ms_per_call": round(1000 * server_cpu_s / calls, 4),
            "server_cpu_ms_per_text": round(1000 * server_cpu_s / max(self._texts, 1.0), 4),
            "client_cpu_ms_per_call": round(1000 * own_cpu_s / calls, 4),
            "others_cores": round((machine_s - server_cpu_s - own_cpu_s) / window_s, 3),
            "rss_bytes": {
                "first": self._rss_bytes[0],
                "peak": max(self._rss_bytes),
                "last": self._rss_bytes[-1],
            },
            "samples": [
                [request.first_text + i, label]
                for request, body in self._samples
                for i, label in enumerate(best_labels(body))
            ],
            "rows": self._rows,
        }

    def _spending(self) -> list[float]:
        return [cpu_s(self._pids), time.process_time(), machine_cpu_s()]
