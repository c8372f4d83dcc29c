"""Texts to answers for versions that are pinned: tokens, windows, logits, and what each question makes of them.

Questions whose models read alike and stand on one trunk are answered in one pass: the texts are tokenized once, and each batch
is computed once for all of them.

Concurrency: the event loop runs the path. Tokenizing and decoding block threads where there is much of it; of a few short texts
they take less time than handing them to a thread does, and are done at once. A call is worked off in parts, a few at a time: a
call of 4 MiB neither fills the queue nor holds a thread for seconds, and short calls of others are answered between its parts.
Its first parts are counted as waiting before anything is awaited, so that calls that arrive together all count.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Final, Generic, TypeVar

from services.infer.batching.dispatcher import Dispatcher
from services.infer.batching.outcomes import Incident, Ran
from services.infer.calls import CallTiming, TextAnswer
from services.infer.decoding import Decode, by_text, decode_part
from services.infer.residency.resident import Loaded
from shared.runtime.model import EncodedText

A = TypeVar("A")

AT_ONCE_CODE_POINTS: Final = (
    2_000  # of a part that blocks the event loop, for about a millisecond, not a thread
)
PART_CODE_POINTS: Final = 20_000  # of the texts of a part; one longer text is a part alone
PARTS_AT_ONCE: Final = 2  # of one call: while one is run, the next is tokenized
CODE_POINTS_PER_TOKEN: Final = 4  # a guess for admission, put right when the tokens are counted


@dataclass(frozen=True, slots=True)
class Question(Generic[A]):
    """A version, and what to make of its logits."""

    loaded: Loaded
    decode: Decode[A]


Answers = list[list[TextAnswer[A] | Incident]]  # of each question, of each text


@dataclass(frozen=True, slots=True)
class Reading:
    """Answers questions about texts. Event loop only."""

    dispatcher: Dispatcher
    text_threads: Executor

    async def read(
        self,
        questions: Sequence[Question[A]],
        texts: Sequence[str],
        *,
        deadline_s: float,
        is_bulk: bool,
    ) -> tuple[Answers[A], list[CallTiming]]:
        """Answer every question for every text, each of which can be read; tell of each where the time of its pass went. Bulk waits
        for room; what is not bulk is refused where there is none: raises QueueFullError, DeadlineExpiredError.
        """
        timings = [CallTiming()] * len(questions)
        if not texts:
            return [[] for _ in questions], timings
        groups = _that_read_alike(questions)
        if len(groups) == 1:
            done = [await self._read_group(questions, texts, deadline_s, is_bulk)]
        else:
            reads = [
                self._read_group([questions[i] for i in group], texts, deadline_s, is_bulk)
                for group in groups
            ]
            done = await _all_or_none(reads)
        answers: Answers[A] = [[] for _ in questions]
        for group, parts in zip(groups, done, strict=True):
            timing = _timing(parts)
            for place in group:
                timings[place] = timing
            for part in parts:
                for place, of_question in zip(group, part.answers, strict=True):
                    answers[place] += of_question
        return answers, timings

    async def _read_group(
        self, questions: Sequence[Question[A]], texts: Sequence[str], deadline_s: float, is_bulk: bool
    ) -> "list[_Part[A]]":
        parts = list(_parts(texts))
        first, later = parts[:PARTS_AT_ONCE], parts[PARTS_AT_ONCE:]
        loaded = questions[0].loaded
        if is_bulk:
            await self.dispatcher.room_for_bulk()
        first_tokens, later_tokens = (sum(map(_estimated_tokens, each)) for each in (first, later))
        with self.dispatcher.admitted(
            loaded, first_tokens, later_tokens=later_tokens, deadline_s=deadline_s, is_bulk=is_bulk
        ) as expect:
            read = partial(self._read_part, questions, deadline_s, is_bulk, expect)
            if len(parts) == 1:
                return [await read(parts[0])]
            return await _in_turn(read, chain(first, _expected(later, expect)))

    async def _read_part(
        self,
        questions: Sequence[Question[A]],
        deadline_s: float,
        is_bulk: bool,
        expect: Callable[[int], None],
        texts: Sequence[str],
    ) -> "_Part[A]":
        readers = [question.loaded for question in questions]
        # Of models that read alike the one for entities finds the words too, which the others pass over.
        reader = next((each for each in readers if each.model.manifest.task == "entities"), readers[0])
        is_short = sum(map(len, texts)) <= AT_ONCE_CODE_POINTS
        started_s = self.dispatcher.clock()
        if is_short:
            encoded = reader.model.encode(texts)
        else:
            encoded = await reader.in_thread(self.text_threads, reader.model.encode, texts)
        tokenize_s = self.dispatcher.clock() - started_s
        windows = [window for text in encoded for window in text.windows]
        expect(-_estimated_tokens(texts))
        ran = await self.dispatcher.run(readers, windows, deadline_s=deadline_s, is_bulk=is_bulk)
        decode = partial(_decode, questions, encoded, ran)
        answers = decode() if is_short else await reader.in_thread(self.text_threads, decode)
        return _Part(answers, tokenize_s, ran, sum(window.token_count for window in windows))


@dataclass(frozen=True, slots=True)
class _Part(Generic[A]):
    answers: Answers[A]
    tokenize_s: float
    ran: Ran
    token_count: int


def _that_read_alike(questions: Sequence[Question[A]]) -> list[list[int]]:
    """Group the places of questions that one pass can answer."""
    groups: list[list[int]] = []
    for place, question in enumerate(questions):
        for group in groups:
            first = questions[group[0]].loaded
            if first.lane is question.loaded.lane and first.model.reads_like(question.loaded.model):
                group.append(place)
                break
        else:
            groups.append([place])
    return groups


def _decode(questions: Sequence[Question[A]], encoded: Sequence[EncodedText], ran: Ran) -> Answers[A]:
    return [
        decode_part(question.decode, question.loaded.model, encoded, by_text(encoded, ran, place))
        for place, question in enumerate(questions)
    ]


async def _in_turn(
    read: Callable[[Sequence[str]], Awaitable[_Part[A]]], parts: Iterable[Sequence[str]]
) -> list[_Part[A]]:
    """Read all parts, PARTS_AT_ONCE at a time; when one fails, the others stop."""
    done: dict[int, _Part[A]] = {}
    waiting = iter(enumerate(parts))

    async def work() -> None:
        for number, part in waiting:
            done[number] = await read(part)

    await _all_or_none([work() for _ in range(PARTS_AT_ONCE)])
    return [done[number] for number in range(len(done))]


T = TypeVar("T")


async def _all_or_none(reads: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all at once; when one fails, the others stop."""
    tasks = [asyncio.create_task(read) for read in reads]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _timing(parts: Sequence[_Part[A]]) -> CallTiming:
    first = parts[0].ran
    queued_s, first_start_s, last_start_s, end_s = (
        first.queued_s,
        first.first_start_s,
        first.last_start_s,
        first.end_s,
    )
    tokenize_s, tokens, padded, largest = 0.0, 0, 0, 0
    for part in parts:
        ran = part.ran
        queued_s, first_start_s = min(queued_s, ran.queued_s), min(first_start_s, ran.first_start_s)
        last_start_s, end_s = max(last_start_s, ran.last_start_s), max(end_s, ran.end_s)
        tokenize_s += part.tokenize_s
        tokens += part.token_count
        padded += ran.padded_tokens
        largest = max(largest, ran.largest_batch)
    queue_s, inference_s = last_start_s - queued_s, end_s - first_start_s
    return CallTiming(tokenize_s, queue_s, inference_s, tokens, padded, largest)


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
