"""Logits back to their texts."""

from typing import cast

import numpy as np

from services.infer.batching.outcomes import Incident, Ran
from services.infer.calls import TextAnswer
from services.infer.decoding import by_text, decode_part
from shared.runtime.model import EncodedText, Model
from shared.runtime.windows import Window


def _text(name: str, windows: int) -> EncodedText:
    ids = np.array([1, 2], dtype=np.int64)
    return EncodedText(name, tuple(Window(ids, 0, 0, 1) for _ in range(windows)), None)


def test_every_text_gets_its_own_windows_and_an_incident_takes_the_whole_text() -> None:
    """Of texts with 1, 3 and 2 windows the middle one lost a window: it has the incident, never an answer from the other two."""
    texts = [_text("first", 1), _text("second", 3), _text("third", 2)]
    logits = [np.array([number], dtype=np.float32) for number in range(6)]
    outcomes = (logits[0], logits[1], Incident("ab12"), logits[3], logits[4], logits[5])
    pairs = list(by_text(texts, Ran(outcomes, 0.0, 0.0, 0.0, 0.0)))
    model = cast("Model", None)  # only handed on
    answers = decode_part(
        lambda _, text, values: [(text.text, [float(value[0]) for value in values])], model, pairs
    )
    assert answers == [
        TextAnswer([("first", [0.0])], 1),
        Incident("ab12"),
        TextAnswer([("third", [4.0, 5.0])], 2),
    ]
