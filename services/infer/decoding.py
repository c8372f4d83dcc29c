"""What a model computed, as what a call asked for. Pure; runs in text threads.

Invariant: a text that lost one of its windows to an incident has that incident for an answer, never a partial one.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from services.infer.batching.outcomes import Incident, Ran
from services.infer.calls import AnalyzeCall, ClassifyCall, Entity, ExtractCall, TextAnswer
from shared.runtime.classification import LabelScore, Logits
from shared.runtime.model import EncodedText, Model
from shared.runtime.offsets import convert

A = TypeVar("A")
Decode = Callable[[Model, Sequence[EncodedText], Sequence[Sequence[Logits]]], Sequence[Sequence[A]]]
Computed = Sequence[Logits] | Incident


def by_text(encoded: Iterable[EncodedText], ran: Ran, reader: int) -> list[Computed]:
    """Give each text the logits of its windows for the run's reader of that number, or the incident that cost it one of them."""
    outcomes = iter(ran.outcomes)
    computed: list[Computed] = []
    for text in encoded:
        mine = [next(outcomes) for _ in text.windows]
        incident = next((outcome for outcome in mine if isinstance(outcome, Incident)), None)
        computed.append(incident or [each[reader] for each in mine if not isinstance(each, Incident)])
    return computed


def decode_part(
    decode: Decode[A], model: Model, encoded: Sequence[EncodedText], computed: Sequence[Computed]
) -> list[TextAnswer[A] | Incident]:
    """Decode several texts; a text without logits keeps its incident."""
    texts, logits = [], []
    for text, of_text in zip(encoded, computed, strict=True):
        if not isinstance(of_text, Incident):
            texts.append(text)
            logits.append(of_text)
    found = iter(decode(model, texts, logits) if texts else ())
    return [
        of_text if isinstance(of_text, Incident) else TextAnswer(next(found), len(text.windows))
        for text, of_text in zip(encoded, computed, strict=True)
    ]


def best_labels(
    call: ClassifyCall | AnalyzeCall,
    model: Model,
    texts: Sequence[EncodedText],
    logits: Sequence[Sequence[Logits]],
) -> list[list[LabelScore]]:
    """Return the labels that the call wants of each text, best first."""
    ranked = model.classify_all(texts, logits, top_k=call.top_k)
    if not call.min_score:
        return ranked
    return [[label for label in of_text if label.score >= call.min_score] for of_text in ranked]


def entities(
    call: ExtractCall | AnalyzeCall,
    model: Model,
    texts: Sequence[EncodedText],
    logits: Sequence[Sequence[Logits]],
) -> list[list[Entity]]:
    """Return the entities that the call wants of each text, by rising start, in its unit."""
    return [_entities(call, model, *each) for each in zip(texts, logits, strict=True)]


def _entities(
    call: ExtractCall | AnalyzeCall, model: Model, text: EncodedText, logits: Sequence[Logits]
) -> list[Entity]:
    spans = [span for span in model.extract(text, logits) if span.score >= call.min_score]
    converted = convert(text.text, [(span.start, span.end) for span in spans], call.unit)
    return [
        Entity(span.label, start, end, text.text[span.start : span.end], span.score)
        for span, (start, end) in zip(spans, converted, strict=True)
    ]
