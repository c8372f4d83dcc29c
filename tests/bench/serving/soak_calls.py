"""The calls of the soak: mostly good ones of all sizes and deadlines, and among them what servers are ill-treated with."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.stubs.inference.v1 import inference_pb2 as pb
from tests.bench.serving import frames
from tests.bench.serving.messages import TOP_K

MOST_TEXTS: Final = 32
_TOO_MANY_TEXTS: Final = 257
_LONG_TEXT_PARTS: Final = 40  # texts of the pool that make a document of several windows
_WAITS: Final = frozenset({frames.OK, frames.RESOURCE_EXHAUSTED, frames.DEADLINE_EXCEEDED})
_KINDS: Final = {"good": 80, "hurried": 6, "cancelled": 5, "document": 3, "on-demand": 3, "bad": 3}  # shares
_DEADLINES_MS: Final = (500, 2_000, 10_000)


@dataclass(frozen=True, slots=True)
class SoakCall:
    """One call and the ends that it may have."""

    message: bytes
    may_end: frozenset[int]
    timeout_ms: int
    cancel_after_s: float | None = None
    places: Sequence[int] = ()  # of its texts in the pool, where the answer is to be checked


class CallMaker:
    """Makes calls at random."""

    def __init__(self, texts: Sequence[str], model: str, on_demand: Sequence[str], seed: int) -> None:
        """`texts`: the pool. `model`: always loaded. `on_demand`: models that a first call loads."""
        self._texts, self._model, self._on_demand = texts, model, on_demand
        self._dice = random.Random(seed)  # noqa: S311  # a load, no secret
        self._bad: Mapping[str, frozenset[int]] = {
            "nothing": frozenset({frames.INVALID_ARGUMENT}),
            "too many": frozenset({frames.INVALID_ARGUMENT}),
            "no such model": frozenset({frames.NOT_FOUND, frames.UNAVAILABLE}),
            "malformed name": frozenset({frames.INVALID_ARGUMENT}),
            "no message": frozenset({frames.INVALID_ARGUMENT}),
            "empty text": _WAITS,  # the text has an error, the call has none
        }

    def make(self) -> SoakCall:
        """Return the next call."""
        dice = self._dice
        (kind,) = dice.choices(list(_KINDS), list(_KINDS.values()))
        if kind == "bad":
            return self._bad_call(dice.choice(list(self._bad)))
        size = 1 if dice.random() < 0.7 else dice.randint(2, MOST_TEXTS)
        places = [dice.randrange(len(self._texts)) for _ in range(size)]
        texts = [self._texts[place] for place in places]
        timeout_ms = dice.choice(_DEADLINES_MS)
        if kind == "hurried":
            return SoakCall(self._message(texts), _WAITS, dice.randint(1, 20))
        if kind == "cancelled":
            return SoakCall(self._message(texts), _WAITS, timeout_ms, cancel_after_s=dice.uniform(0, 0.05))
        if kind == "document":
            document = " ".join(dice.choices(self._texts, k=_LONG_TEXT_PARTS))
            return SoakCall(self._message([document]), _WAITS, timeout_ms)
        if kind == "on-demand":
            message = self._message(texts, dice.choice(self._on_demand))
            return SoakCall(message, _WAITS | {frames.UNAVAILABLE}, timeout_ms)
        return SoakCall(self._message(texts), _WAITS, timeout_ms, places=places)

    def _bad_call(self, kind: str) -> SoakCall:
        messages = {
            "nothing": self._message([]),
            "too many": self._message(["a"] * _TOO_MANY_TEXTS),
            "no such model": self._message(["a text"], "nobody-has-trained-this"),
            "malformed name": self._message(["a text"], "@@"),
            "no message": frames.encode_message(b"\xff" * 20),
            "empty text": self._message(["", "  "]),
        }
        return SoakCall(messages[kind], self._bad[kind], max(_DEADLINES_MS))

    def _message(self, texts: Sequence[str], model: str = "") -> bytes:
        request = pb.ClassifyRequest(model=model or self._model, texts=texts, top_k=TOP_K)
        return frames.encode_message(request.SerializeToString())
