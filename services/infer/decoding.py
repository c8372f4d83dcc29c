"""What a model computed, as what a call asked for. Pure; runs in text threads.

Invariant: a text that lost one of its windows to an incident has that incident for an answer, never a partial one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from services.infer.batching.outcomes import Incident, Ran
from services.infer.calls import ClassifyCall, Entity, ExtractCall, TextAnswer
from shared.runtime.classification import LabelScore, Logits
from shared.runtime.model import EncodedText, Model
from shared.runtime.offsets import convert

A = TypeVar("A")
Decode = Callable[[Model, EncodedText, Sequence[Logits]], Sequence[A]]
Computed = Sequence[Logits] | Incident


def by_text(encoded: Iterable[EncodedText], ran: Ran) -> Iterator[tuple[EncodedText, Computed]]:
    """Give each text the logits of its windows, or the incident that cost it one of them."""
    outcomes = iter(ran.outcomes)
    for text in encoded:
        mine = [next(outcomes) for _ in text.windows]
        incident = next((outcome for outcome in mine if isinstance(outcome, Incident)), None)
        yield text, incident or [outcome for outcome in mine if not isinstance(outcome, Incident)]


def decode_part(
    decode: Decode[A], model: Model, pairs: Sequence[tuple[EncodedText, Computed]]
) -> list[TextAnswer[A] | Incident]:
    """Decode several texts; a text without logits keeps its incident."""
    return [
        computed
        if isinstance(computed, Incident)
        else TextAnswer(decode(model, text, computed), len(text.windows))
        for text, computed in pairs
    ]


def best_labels(
    call: ClassifyCall, model: Model, text: EncodedText, logits: Sequence[Logits]
) -> list[LabelScore]:
    """Return the labels that the call wants of a text, best first."""
    ranked = model.classify(text, logits)[: call.top_k or None]
    return [label for label in ranked if label.score >= call.min_score]


def entities(call: ExtractCall, model: Model, text: EncodedText, logits: Sequence[Logits]) -> list[Entity]:
    """Return the entities that the call wants of a text, by rising start, in its unit."""
    spans = [span for span in model.extract(text, logits) if span.score >= call.min_score]
    converted = convert(text.text, [(span.start, span.end) for span in spans], call.unit)
    return [
        Entity(span.label, start, end, text.text[span.start : span.end], span.score)
        for span, (start, end) in zip(spans, converted, strict=True)
    ]
