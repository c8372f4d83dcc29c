"""Decides at the door which calls may wait: a bound in tokens, and no call that would be answered too late. Pure.

What is told of the wait is a prediction: work that waits, in milliseconds by the lanes' cost grids, times `slowdown`, how much
longer runs have lately taken than the grids say (other processes, other threads). A model is made to wait behind the others'
work no longer than a fair share asks for: with k models waiting, each runs at 1/k of the speed.
"""

import math
from typing import Final

from shared.errors import DeadlineExpiredError, QueueFullError

_SHORTEST_RETRY_MS: Final = 10
_LONGEST_RETRY_MS: Final = 60_000
_NEWEST: Final = 0.1  # weight of the newest run in `slowdown`
_SLOWDOWN_BOUNDS: Final = (0.5, 10.0)  # beyond them it is a hiccup, not a trend


class Backlog:
    """What waits, queued or still to be tokenized, by model."""

    def __init__(self, *, limit_tokens: int, runners: int) -> None:
        self.tokens = 0
        self.slowdown = 1.0
        self._limit_tokens = limit_tokens
        self._runners = runners
        self._tokens_of: dict[str, int] = {}
        self._work_ms: dict[str, float] = {}

    def change(self, model: str, tokens: int, token_ms: float) -> None:
        """Count `tokens` more, or fewer if negative, that cost `token_ms` each."""
        self.tokens += tokens
        left = self._tokens_of.get(model, 0) + tokens
        if left > 0:
            self._tokens_of[model] = left
            self._work_ms[model] = self._work_ms.get(model, 0.0) + tokens * token_ms
        else:
            self._tokens_of.pop(model, None)
            self._work_ms.pop(model, None)

    def note_run(self, *, predicted_ms: float, took_ms: float) -> None:
        """Learn from a run how far the grids are from today."""
        low, high = _SLOWDOWN_BOUNDS
        ratio = min(max(took_ms / predicted_ms, low), high)
        self.slowdown += _NEWEST * (ratio - self.slowdown)

    def wait_ms(self, model: str) -> float:
        """Predict how long a call of `model` that comes now waits for its first run."""
        mine_ms = self._work_ms.get(model, 0.0)
        waiting = len(self._work_ms) + (model not in self._work_ms)
        total_ms = sum(self._work_ms.values())
        return min(total_ms, waiting * mine_ms) / self._runners * self.slowdown

    def check(self, model: str, *, own_ms: float, now_s: float, deadline_s: float) -> None:
        """Raise QueueFullError, with the time after which there should be room, or DeadlineExpiredError.

        `own_ms`: work of the call itself. A call of any size enters as long as the limit is not reached, so that every legal
        call can be answered; a model that has less than its share of the limit waiting enters even then.
        """
        remaining_ms = 1000 * (deadline_s - now_s)
        if remaining_ms <= 0:
            raise DeadlineExpiredError("the deadline had passed when the call arrived.")
        mine = self._tokens_of.get(model, 0)
        share_tokens = self._limit_tokens / (len(self._tokens_of) + (model not in self._tokens_of))
        if self.tokens >= self._limit_tokens and mine >= share_tokens:
            raise self._refusal(
                f"{self.tokens} tokens wait, the limit is {self._limit_tokens}: try again later or add replicas.",
                sum(self._work_ms.values()) / self._runners * self.slowdown / 2,
            )
        wait_ms = self.wait_ms(model)
        answered_ms = wait_ms + own_ms / self._runners * self.slowdown
        if wait_ms > 0 and answered_ms > remaining_ms:
            raise self._refusal(
                f"{self.tokens} tokens wait: an answer would take about {math.ceil(answered_ms)} ms, and the deadline is in "
                f"{math.floor(remaining_ms)} ms. Try again later or add replicas.",
                answered_ms - remaining_ms,
            )

    def _refusal(self, message: str, retry_after_ms: float) -> QueueFullError:
        refusal = QueueFullError(message, queued_tokens=self.tokens, limit_tokens=self._limit_tokens)
        bounded_ms = min(max(retry_after_ms, _SHORTEST_RETRY_MS), _LONGEST_RETRY_MS)
        refusal.retry_after_ms = math.ceil(bounded_ms)
        return refusal
