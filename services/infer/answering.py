"""The path of one call: check, pin a version, texts to windows, windows to logits, logits to answers.

Invariant: a call is answered by one version from beginning to end, and its texts do not influence each other: a text that
cannot be read, or whose run fails, has its own error in its place.
Concurrency: the event loop runs the path; tokenizing and decoding block threads. A call is worked off in parts, a few at a time:
a call of 4 MiB neither fills the queue nor holds a thread for seconds, and short calls of others are answered between its
parts. Its first parts are counted as waiting before anything is awaited, so that calls that arrive together all count. The version stays pinned until the last thread that works for the call has ended.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final, Generic, TypeVar

from services.infer.batching.dispatcher import Dispatcher
from services.infer.batching.outcomes import Incident, Ran
from services.infer.calls import (
    Answer,
    Call,
    CallTiming,
    ClassifyCall,
    Entity,
    ExtractCall,
    TextAnswer,
    TextLimits,
    text_fault,
)
from services.infer.decoding import Decode, best_labels, by_text, decode_part, entities
from services.infer.gate import Gate
from services.infer.residency.residency import Residency
from services.infer.residency.resident import Loaded
from shared.errors import TagsmithError, TaskMismatchError
from shared.runtime.classification import LabelScore
from shared.store.manifest import Task
from shared.telemetry import metrics

A = TypeVar("A")

PART_CODE_POINTS: Final = 20_000  # of the texts of a part; one longer text is a part alone
PARTS_AT_ONCE: Final = 2  # of one call: while one is run, the next is tokenized
CODE_POINTS_PER_TOKEN: Final = 4  # a guess for admission, put right when the tokens are counted


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers calls. Event loop only."""

    residency: Residency
    dispatcher: Dispatcher
    text_threads: Executor
    limits: TextLimits
    gate: Gate

    async def classify(self, call: ClassifyCall) -> Answer[LabelScore]:
        """Raises TagsmithError for faults of the call; those of a text are in its place."""
        return await self._answer(call, ("classification", "multi-label"), partial(best_labels, call))

    async def extract(self, call: ExtractCall) -> Answer[Entity]:
        """Raises TagsmithError for faults of the call; those of a text are in its place."""
        return await self._answer(call, ("entities",), partial(entities, call))

    async def _answer(self, call: Call, tasks: Sequence[Task], decode: Decode[A]) -> Answer[A]:
        call.check(self.limits)
        with self.gate.entered():
            async with self.residency.serving(call.reference) as loaded:
                _check_task(loaded, tasks)
                faults = {
                    place: text_fault(text, place, self.limits) for place, text in enumerate(call.texts)
                }
                readable = [
                    text for text, fault in zip(call.texts, faults.values(), strict=True) if not fault
                ]
                answers, timing = await self._read(loaded, readable, call.deadline_s, decode)
                answered = iter(answers)
                outcomes = [fault or next(answered) for fault in faults.values()]
                _count(loaded.version.model, outcomes)
                return Answer(loaded.version, outcomes, timing)

    async def _read(
        self, loaded: Loaded, texts: Sequence[str], deadline_s: float, decode: Decode[A]
    ) -> tuple[list[TextAnswer[A] | Incident], CallTiming]:
        """Answer texts that can be read; result i belongs to text i."""
        if not texts:
            return [], CallTiming()
        parts = list(_parts(texts))
        first, later = parts[:PARTS_AT_ONCE], parts[PARTS_AT_ONCE:]
        with self.dispatcher.admitted(sum(map(_estimated_tokens, first))) as expect:
            read = partial(self._read_part, loaded, deadline_s, decode, expect)
            if len(parts) == 1:
                done = [await read(parts[0])]
            else:
                done = await _in_turn(read, chain(first, _expected(later, expect)))
        return [answer for part in done for answer in part.answers], _timing(done)

    async def _read_part(
        self,
        loaded: Loaded,
        deadline_s: float,
        decode: Decode[A],
        expect: Callable[[int], None],
        texts: Sequence[str],
    ) -> "_Part[A]":
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        encoded = await loaded.in_thread(self.text_threads, loaded.model.encode, texts)
        tokenize_s = loop.time() - started_s
        windows = [window for text in encoded for window in text.windows]
        expect(-_estimated_tokens(texts))
        ran = await self.dispatcher.run(loaded, windows, deadline_s=deadline_s)
        pairs = list(by_text(encoded, ran))
        answers = await loaded.in_thread(self.text_threads, decode_part, decode, loaded.model, pairs)
        return _Part(answers, tokenize_s, ran, sum(text.token_count for text in encoded))


@dataclass(frozen=True, slots=True)
class _Part(Generic[A]):
    answers: list[TextAnswer[A] | Incident]
    tokenize_s: float
    ran: Ran
    token_count: int


async def _in_turn(
    read: Callable[[Sequence[str]], Awaitable[_Part[A]]], parts: Iterable[Sequence[str]]
) -> list[_Part[A]]:
    """Read all parts, PARTS_AT_ONCE at a time; when one fails, the others stop."""
    done: dict[int, _Part[A]] = {}
    waiting = iter(enumerate(parts))

    async def work() -> None:
        for number, part in waiting:
            done[number] = await read(part)

    workers = [asyncio.create_task(work()) for _ in range(PARTS_AT_ONCE)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
    return [done[number] for number in range(len(done))]


def _timing(parts: Sequence[_Part[A]]) -> CallTiming:
    first_start_s = min(part.ran.first_start_s for part in parts)
    return CallTiming(
        tokenize_s=sum(part.tokenize_s for part in parts),
        queue_s=max(part.ran.last_start_s for part in parts) - min(part.ran.queued_s for part in parts),
        inference_s=max(part.ran.end_s for part in parts) - first_start_s,
        token_count=sum(part.token_count for part in parts),
    )


def _check_task(loaded: Loaded, tasks: Sequence[Task]) -> None:
    manifest = loaded.model.manifest
    if manifest.task not in tasks:
        raise TaskMismatchError(
            f"{loaded.version} does {manifest.task}, the call asks for {' or '.join(tasks)}.",
            model_version=str(loaded.version),
            task=manifest.task,
        )


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Cut `texts` into runs of at most PART_CODE_POINTS, or of one text."""
    part: list[str] = []
    code_points = 0
    for text in texts:
        if part and code_points + len(text) > PART_CODE_POINTS:
            yield part
            part, code_points = [], 0
        part.append(text)
        code_points += len(text)
    yield part


def _expected(parts: Iterable[list[str]], expect: Callable[[int], None]) -> Iterator[list[str]]:
    """Count each part as waiting when its turn comes."""
    for part in parts:
        expect(_estimated_tokens(part))
        yield part


def _estimated_tokens(texts: Sequence[str]) -> int:
    return sum(len(text) for text in texts) // CODE_POINTS_PER_TOKEN + 1


def _count(model: str, outcomes: Sequence[TextAnswer[A] | TagsmithError | Incident]) -> None:
    kinds = Counter(
        outcome.reason
        if isinstance(outcome, TagsmithError)
        else "INTERNAL"
        if isinstance(outcome, Incident)
        else "ok"
        for outcome in outcomes
    )
    for kind, count in kinds.items():
        metrics.TEXTS.labels(model, kind).inc(count)
