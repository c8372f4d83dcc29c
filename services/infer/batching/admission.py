"""Decides at the door which calls may wait: a bound in tokens, and no call that would be answered too late. Pure.

What is told of the wait is a prediction: work that waits, in the least milliseconds that its tokens cost by the lanes' grids, times
`slowdown`, how much longer batches have lately taken than that while others waited (their sizes and padding, other threads and
processes). A model is made to wait behind the others'
work no longer than a fair share asks for: with k models waiting, each runs at 1/k of the speed. Bulk is not counted in this: it
runs behind all others, so it is no reason to refuse them. What waits of it is kept short, so that it waits at the sender instead,
and so that little of it comes all at once when its patience in the queue ends.
"""

import math
from typing import Final

from shared.errors import DeadlineExpiredError, QueueFullError

BULK_AHEAD_MS: Final = 500  # work of bulk that waits at the runners: enough to form batches from
_SHORTEST_RETRY_MS: Final = 10
_LONGEST_RETRY_MS: Final = 60_000
CAUTION: Final = 1.5  # waits differ by so much around what is predicted; who was let in and waited in vain is worse off than who was not
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
        self._bulk_tokens = 0
        self._bulk_ms = 0.0

    @property
    def has_room_for_bulk(self) -> bool:
        """Whether bulk may join what waits: never beyond half of the limit, which leaves room for calls that will not wait."""
        bulk_ms = self._bulk_ms / self._runners * self.slowdown
        return 2 * self.tokens < self._limit_tokens and bulk_ms < BULK_AHEAD_MS

    def change(self, model: str, tokens: int, token_ms: float, *, is_bulk: bool = False) -> None:
        """Count `tokens` more, or fewer if negative, that cost `token_ms` each."""
        self.tokens += tokens
        if is_bulk:
            self._bulk_tokens += tokens
            self._bulk_ms = self._bulk_ms + tokens * token_ms if self._bulk_tokens else 0.0
            return
        left = self._tokens_of.get(model, 0) + tokens
        if left > 0:
            self._tokens_of[model] = left
            self._work_ms[model] = self._work_ms.get(model, 0.0) + tokens * token_ms
        else:
            self._tokens_of.pop(model, None)
            self._work_ms.pop(model, None)

    def note_run(self, *, expected_ms: float, took_ms: float, others_wait: bool) -> None:
        """Learn from a batch, whose tokens cost `expected_ms` at the least, how far that is from today.

        Waiting work is worked off as it is while others wait: a batch that left nobody waiting may be small and cost more. It costs no
        less, so a better one is learnt from too: else one hiccup could keep others out, and with them all that could be learnt.
        """
        low, high = _SLOWDOWN_BOUNDS
        ratio = min(max(took_ms / expected_ms, low), high)
        if not others_wait and ratio > self.slowdown:
            return
        self.slowdown += _NEWEST * (ratio - self.slowdown)

    def wait_ms(self, model: str, *, is_bulk: bool = False) -> float:
        """Predict how long a call of `model` that comes now waits for its first run."""
        total_ms = sum(self._work_ms.values())
        if is_bulk:
            return (total_ms + self._bulk_ms) / self._runners * self.slowdown
        mine_ms = self._work_ms.get(model, 0.0)
        waiting = len(self._work_ms) + (model not in self._work_ms)
        return min(total_ms, waiting * mine_ms) / self._runners * self.slowdown

    def check(
        self, model: str, *, own_ms: float, now_s: float, deadline_s: float, is_bulk: bool = False
    ) -> None:
        """Raise QueueFullError, with the time after which there should be room, or DeadlineExpiredError.

        `own_ms`: work of the call itself, at the least. A call of any size enters as long as the limit is not reached, so that every legal
        call can be answered; a model that has less than its share of the limit waiting enters even then. Bulk, which has waited
        for room, is refused for its deadline alone.
        """
        remaining_ms = 1000 * (deadline_s - now_s)
        if remaining_ms <= 0:
            raise DeadlineExpiredError("the deadline had passed when the call arrived.")
        fastest_ms = own_ms / self._runners * _SLOWDOWN_BOUNDS[0]
        if fastest_ms > remaining_ms:
            raise DeadlineExpiredError(
                f"the deadline is in {math.floor(remaining_ms)} ms, and the call alone would take {math.ceil(fastest_ms)} ms or more: "
                "give it more time, or send fewer or shorter texts."
            )
        mine = self._tokens_of.get(model, 0)
        share_tokens = self._limit_tokens / (len(self._tokens_of) + (model not in self._tokens_of))
        is_full = self.tokens - self._bulk_tokens >= self._limit_tokens
        if is_full and mine >= share_tokens and not is_bulk:
            raise self._refusal(
                f"{self.tokens} tokens wait, the limit is {self._limit_tokens}: try again later or add replicas.",
                sum(self._work_ms.values()) / self._runners * self.slowdown / 2,
            )
        wait_ms = self.wait_ms(model, is_bulk=is_bulk)
        answered_ms = CAUTION * wait_ms + own_ms / self._runners * self.slowdown
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
