"""What callers ask and are told, in the domain's words, and the bounds of what they may ask. Frozen data and pure checks.

Texts are never part of a message, of metadata or of a log.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from services.infer.batching.outcomes import Incident
from shared.errors import BatchSizeError, FieldInvalidError, TagsmithError, TextEmptyError, TextTooLongError
from shared.names import ModelReference, VersionName
from shared.runtime.offsets import OffsetUnit
from shared.store.manifest import Task


@dataclass(frozen=True, slots=True)
class TextLimits:
    """How much one call may carry."""

    texts: int
    code_points: int  # of each text
    models: int = 16  # that one call asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What every call has. `deadline_s` is on the event loop's clock, infinity for none."""

    references: Sequence[ModelReference]  # one or more, to ask about every text
    texts: Sequence[str]
    min_score: float
    deadline_s: float
    is_bulk: bool = False  # waits behind what is not, and for room instead of being refused

    def check(self, limits: TextLimits) -> None:
        """Raise BatchSizeError or FieldInvalidError if the call as a whole cannot be answered."""
        if not 1 <= len(self.texts) <= limits.texts:
            raise BatchSizeError(
                f"texts: {len(self.texts)} texts, a call carries 1 to {limits.texts}.",
                field="texts",
                count=len(self.texts),
                limit=limits.texts,
            )
        if not 0 <= self.min_score <= 1:  # NaN fails too
            raise FieldInvalidError(
                f"min_score: {self.min_score} is not within [0, 1].",
                field="min_score",
                value=str(self.min_score),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyCall(Call):
    """Asks for labels; `top_k` 0 for all of them."""

    top_k: int

    def check(self, limits: TextLimits) -> None:
        """As Call.check, and `top_k` too."""
        Call.check(self, limits)  # super() is lost when slots=True makes the class anew
        _check_top_k(self.top_k)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractCall(Call):
    """Asks for entities, with offsets counted in `unit`."""

    unit: OffsetUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeCall(Call):
    """Asks several models: classifiers as a ClassifyCall does, extractors as an ExtractCall does."""

    top_k: int
    unit: OffsetUnit

    def check(self, limits: TextLimits) -> None:
        """As Call.check, `top_k` and the number of models too."""
        Call.check(self, limits)
        _check_top_k(self.top_k)
        if not 1 <= len(self.references) <= limits.models:
            raise BatchSizeError(
                f"models: {len(self.references)} models, a call asks 1 to {limits.models}.",
                field="models",
                count=len(self.references),
                limit=limits.models,
            )


def _check_top_k(top_k: int) -> None:
    if top_k < 0:
        raise FieldInvalidError(f"top_k: {top_k} is negative.", field="top_k", value=top_k)


def text_fault(text: str, place: int, limits: TextLimits) -> TagsmithError | None:
    """Return why text `place` of a call has no answer, or None if it can be read."""
    if not text or text.isspace():
        field = f"texts[{place}]"
        return TextEmptyError(f"{field} is empty or holds only white space.", field=field)
    if len(text) > limits.code_points:
        field = f"texts[{place}]"
        return TextTooLongError(
            f"{field} has {len(text)} code points, the limit is {limits.code_points}.",
            field=field,
            code_points=len(text),
            limit=limits.code_points,
        )
    return None


@dataclass(frozen=True, slots=True)
class Entity:
    """A mention: the slice [start, end) of its text, counted in the unit that the call asked for."""

    label: str
    start: int
    end: int
    surface: str
    score: float


A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class TextAnswer(Generic[A]):
    """The labels or the entities of one text, and in how many windows it was read."""

    found: Sequence[A]
    window_count: int


@dataclass(frozen=True, slots=True)
class CallTiming:
    """How a call was answered; see the proto's Timing."""

    tokenize_s: float = 0.0
    queue_s: float = 0.0
    inference_s: float = 0.0
    token_count: int = 0
    padded_token_count: int = 0
    largest_batch: int = 0


@dataclass(frozen=True, slots=True)
class Answer(Generic[A]):
    """What became of a call; outcome i belongs to text i."""

    version: VersionName
    task: Task
    variant: str
    outcomes: Sequence[TextAnswer[A] | TagsmithError | Incident]
    timing: CallTiming
