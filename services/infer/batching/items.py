"""What the dispatcher works with: windows of calls, the versions that read them, and the lanes on which they run."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.infer.batching import queue
from services.infer.batching.isolation import Pass
from services.infer.batching.outcomes import Incident
from shared.errors import DeadlineExpiredError
from shared.names import VersionName
from shared.runtime.classification import Logits
from shared.runtime.windows import Window
from shared.telemetry import metrics


class Reader(Protocol):
    """A loaded version that makes something of what its lane computes."""

    @property
    def version(self) -> VersionName:
        """Its name, for logs and metrics."""

    @property
    def lane(self) -> "Lane":
        """What its windows run on; versions on one frozen encoder have one lane."""

    def pin(self) -> None:
        """Stay in memory; called on the event loop."""

    def unpin(self) -> None:
        """Undo one `pin`."""


Work = tuple[Window, Sequence[Reader]]  # a window, and whose logits are wanted of it
Computed = tuple[Logits, ...]  # of a window, for each of its readers


class Lane(queue.Lane, Protocol):
    """Computes batches."""

    def begin(self, works: Sequence[Any]) -> Pass[Computed]:
        """Make a batch of Works of its own readers ready; called on the event loop, or on a runner's thread after a failure."""


@dataclass(slots=True)
class Call:
    """What becomes of the windows of one `run`. Event loop only."""

    arrived_s: float
    outcomes: list[Computed | Incident | None]
    missing: int
    done: asyncio.Future[None]
    is_bulk: bool  # for good; that of a window ends with its patience
    first_start_s: float = math.inf
    last_start_s: float = -math.inf
    largest_batch: int = 0
    padded_tokens: int = 0

    def settle(self, place: int, outcome: Computed | Incident) -> None:
        """Note the outcome of window `place`; the last one ends the call."""
        self.outcomes[place] = outcome
        self.missing -= 1
        if self.missing == 0 and not self.done.done():
            self.done.set_result(None)

    def expire(self) -> None:
        """End the call: its deadline has passed, or cannot be met."""
        if not self.done.done():
            self.done.set_exception(
                DeadlineExpiredError(
                    "the deadline passed, or could not be met any more, before the model had answered."
                )
            )


@dataclass(slots=True, eq=False)
class Item(queue.Waiting):
    """A window of a call, in the queue or running."""

    work: Work
    call: Call
    number: int  # of the window in its call


class Batch:
    """Windows that run together, by rising length."""

    def __init__(self, items: Sequence[Item], *, others_wait: bool) -> None:
        self.items = items
        self.others_wait = others_wait  # still, when it is handed over
        self.started_s = math.inf
        self.readers = {reader: None for item in items for reader in item.work[1]}

    @property
    def least_ms(self) -> float:
        """What its tokens cost in the batches that suit them best."""
        return sum(item.tokens for item in self.items) * self.items[0].lane.cost.token_ms

    def start(self, now_s: float) -> None:
        """Note that a runner has begun with it."""
        self.started_s = now_s
        longest = self.items[-1].tokens
        for item in self.items:
            call = item.call
            call.first_start_s = min(call.first_start_s, now_s)
            call.last_start_s = now_s
            call.largest_batch = max(call.largest_batch, len(self.items))
            call.padded_tokens += longest
        _observe(self.items, now_s)


def _observe(batch: Sequence[Item], now_s: float) -> None:
    """Count a batch that starts."""
    metrics.BATCH_WINDOWS.observe(len(batch))
    metrics.QUEUE_SECONDS.observe(now_s - min(item.arrival_s for item in batch))
    longest = batch[-1].tokens
    tokens: dict[str, list[int]] = {}
    for item in batch:
        tokens.setdefault(item.model, []).append(item.tokens)
    for model, of_model in tokens.items():
        metrics.child(metrics.BATCH_TOKENS, model).inc(sum(of_model))
        metrics.child(metrics.PADDED_TOKENS, model).inc(len(of_model) * longest)
