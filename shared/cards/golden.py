"""Golden examples for people. They are users' texts: who asks for them decides that they may be read."""

from typing import NamedTuple

from shared.store.manifest import GoldenExample, Manifest


class GoldenEntry(NamedTuple):
    """A text and its expected answer in words."""

    text: str
    answer: str


def golden_entries(manifest: Manifest) -> tuple[GoldenEntry, ...]:
    """Return every golden example."""
    return tuple(GoldenEntry(example.text, _answer(example)) for example in manifest.golden_examples)


def _answer(example: GoldenExample) -> str:
    if example.entities is not None:
        spans = [f"{span.label} [{span.start}, {span.end})" for span in example.entities]
        return ", ".join(spans) or "no entity"
    if example.labels is not None:
        return ", ".join(example.labels) or "no label"
    return example.label or "no answer"
