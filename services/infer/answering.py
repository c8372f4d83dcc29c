"""The path of one call: check it, pin its versions, have its texts read, answer each.

Invariants: a question of a call is answered by one version from beginning to end, and texts do not influence each other: one
that cannot be read, or whose run fails, has its own error in its place. A version stays pinned until the last thread that works
for the call has ended.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from services.infer.batching.outcomes import Incident
from services.infer.calls import (
    AnalyzeCall,
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
from services.infer.decoding import Decode, best_labels, entities
from services.infer.gate import Gate
from services.infer.reading import Question, Reading
from services.infer.residency.residency import Residency
from services.infer.residency.resident import Loaded
from shared.errors import ModelLoadingError, TagsmithError, TaskMismatchError
from shared.runtime.classification import LabelScore
from shared.store.manifest import Task
from shared.telemetry import metrics

A = TypeVar("A")

_CLASSIFY: Final[tuple[Task, ...]] = ("classification", "multi-label")
_EXTRACT: Final[tuple[Task, ...]] = ("entities",)


@dataclass(frozen=True, slots=True)
class Answering:
    """Answers calls. Event loop only."""

    residency: Residency
    reading: Reading
    limits: TextLimits
    gate: Gate

    async def classify(self, call: ClassifyCall) -> Answer[LabelScore]:
        """Raises TagsmithError for faults of the call; those of a text are in its place."""
        return await self._answer_one(call, _CLASSIFY, partial(best_labels, call))

    async def extract(self, call: ExtractCall) -> Answer[Entity]:
        """Raises TagsmithError for faults of the call; those of a text are in its place."""
        return await self._answer_one(call, _EXTRACT, partial(entities, call))

    async def analyze(self, call: AnalyzeCall) -> list[Answer[LabelScore] | Answer[Entity]]:
        """Answer for every model of the call, in their order. As classify and extract; a fault of one model fails the call."""
        call.check(self.limits)
        with self.gate:
            versions: list[Loaded] = []
            try:
                loading: ModelLoadingError | None = None
                for reference in call.references:
                    try:
                        versions.append(await self.residency.pinned(reference))
                    except ModelLoadingError as error:  # told when all have begun to be loaded
                        loading = loading or error
                if loading is not None:
                    raise loading
                return await self._read(call, [Question(each, _decode(call, each)) for each in versions])
            finally:
                for loaded in versions:
                    loaded.unpin()

    async def _answer_one(self, call: Call, tasks: Sequence[Task], decode: Decode[A]) -> Answer[A]:
        call.check(self.limits)
        with self.gate:
            loaded = await self.residency.pinned(call.references[0])
            try:
                _check_task(loaded, tasks)
                (answer,) = await self._read(call, (Question(loaded, decode),))
                return answer
            finally:
                loaded.unpin()

    async def _read(self, call: Call, questions: Sequence[Question[A]]) -> list[Answer[A]]:
        faults = [text_fault(text, place, self.limits) for place, text in enumerate(call.texts)]
        readable = [text for text, fault in zip(call.texts, faults, strict=True) if fault is None]
        answers, timings = await self.reading.read(
            questions, readable, deadline_s=call.deadline_s, is_bulk=call.is_bulk
        )
        return [
            _answer(question.loaded, faults, of_question, timing)
            for question, of_question, timing in zip(questions, answers, timings, strict=True)
        ]


def _decode(call: AnalyzeCall, loaded: Loaded) -> Decode[Any]:
    return partial(entities if loaded.model.manifest.task in _EXTRACT else best_labels, call)


def _answer(
    loaded: Loaded,
    faults: Sequence[TagsmithError | None],
    answers: Sequence[TextAnswer[A] | Incident],
    timing: CallTiming,
) -> Answer[A]:
    answered = iter(answers)
    outcomes = [next(answered) if fault is None else fault for fault in faults]
    _count(loaded.version.model, outcomes)
    model = loaded.model
    return Answer(loaded.version, model.manifest.task, model.execution.precision, outcomes, timing)


def _check_task(loaded: Loaded, tasks: Sequence[Task]) -> None:
    manifest = loaded.model.manifest
    if manifest.task not in tasks:
        raise TaskMismatchError(
            f"{loaded.version} does {manifest.task}, the call asks for {' or '.join(tasks)}.",
            model_version=str(loaded.version),
            task=manifest.task,
        )


def _count(model: str, outcomes: Sequence[TextAnswer[A] | TagsmithError | Incident]) -> None:
    kinds = Counter(
        "ok"
        if isinstance(outcome, TextAnswer)
        else "INTERNAL"
        if isinstance(outcome, Incident)
        else outcome.reason
        for outcome in outcomes
    )
    for kind, count in kinds.items():
        metrics.child(metrics.TEXTS, model, kind).inc(count)
