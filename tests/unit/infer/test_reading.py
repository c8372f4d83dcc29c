"""Which questions one pass answers."""

from types import SimpleNamespace
from typing import Any

from services.infer.reading import Question, _that_read_alike


def _question(lane: object, windows: str) -> Question[Any]:
    """A version on a lane whose model cuts texts into windows in a way of that name."""
    model = SimpleNamespace(windows=windows, reads_like=lambda other: other.windows == windows)
    return Question(SimpleNamespace(lane=lane, model=model), lambda *_: [])  # type: ignore[arg-type]


def test_only_models_of_one_trunk_that_cut_alike_share_a_pass() -> None:
    """On another trunk, or with other windows, a model's logits would be of other tokens."""
    here, there = object(), object()
    questions = [
        _question(here, "64"),
        _question(there, "64"),
        _question(here, "128"),
        _question(here, "64"),
        _question(here, "128"),
    ]
    assert _that_read_alike(questions) == [[0, 3], [1], [2, 4]]
