"""Logits back to their texts."""

from typing import cast

import numpy as np
import pytest

from services.infer.batching.outcomes import Incident, Ran
from services.infer.calls import TextAnswer
from services.infer.decoding import by_text, decode_part
from shared.runtime.classification import Logits
from shared.runtime.model import EncodedText, Model
from shared.runtime.windows import Window

MODEL = cast("Model", None)  # only handed on


def _text(name: str, windows: int) -> EncodedText:
    ids = np.array([1, 2], dtype=np.int64)
    return EncodedText(name, tuple(Window(ids, 0, 0, 1) for _ in range(windows)), None)


def _ran(*outcomes: tuple[Logits, ...] | Incident) -> Ran:
    return Ran(outcomes, 0.0, 0.0, 0.0, 0.0, largest_batch=1, padded_tokens=2)


def _logits(*values: float) -> tuple[Logits, ...]:
    """Of a window, for each reader."""
    return tuple(np.array([value], dtype=np.float32) for value in values)


def _decode(
    _: Model, texts: list[EncodedText], logits: list[list[Logits]]
) -> list[list[tuple[str, list[float]]]]:
    return [
        [(text.text, [float(value[0]) for value in of_text])]
        for text, of_text in zip(texts, logits, strict=True)
    ]


@pytest.mark.parametrize(("reader", "first", "last"), [(0, [0.0], [4.0, 5.0]), (1, [10.0], [14.0, 15.0])])
def test_every_text_gets_its_own_windows_and_an_incident_takes_the_whole_text(
    reader: int, first: list[float], last: list[float]
) -> None:
    """Of texts with 1, 3 and 2 windows the middle one lost a window: it has the incident, never an answer from the other two; the
    others have the logits of the reader that is meant.
    """
    texts = [_text("first", 1), _text("second", 3), _text("third", 2)]
    outcomes = [_logits(number, 10 + number) for number in range(6)]
    ran = _ran(*outcomes[:2], Incident("ab12"), *outcomes[3:])
    answers = decode_part(_decode, MODEL, texts, by_text(texts, ran, reader))  # type: ignore[arg-type]
    assert answers == [
        TextAnswer([("first", first)], 1),
        Incident("ab12"),
        TextAnswer([("third", last)], 2),
    ]


def test_where_every_text_has_an_incident_nothing_is_decoded() -> None:
    """Each keeps its own."""

    def never(*_: object) -> list[list[str]]:
        raise AssertionError

    texts = [_text("first", 1), _text("second", 2)]
    computed = by_text(texts, _ran(Incident("a"), _logits(1.0), Incident("b")), 0)
    assert decode_part(never, MODEL, texts, computed) == [Incident("a"), Incident("b")]
