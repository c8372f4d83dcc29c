"""Small labelled files of the tiny world, as a user would have them."""

import json
from itertools import product
from pathlib import Path

from tests.tiny import CLASSIFICATION_LABELS, NAMES, SURNAMES, TOPICS, name_label, topic_label

_OPENINGS = ("please help with my", "where is my", "it is the", "we want a", "help, the")
_ENDINGS = (
    "",
    " with it!",
    " please",
)  # more than a sign: texts that differ by signs alone are the same to a reader


def intents_file(folder: Path, *, endings: tuple[str, ...] = _ENDINGS) -> Path:
    """Texts whose topic word tells the label; 45 for each ending."""
    rows = [
        {"text": f"{opening} {topic}{ending}", "label": topic_label(topic)}
        for opening, topic, ending in product(_OPENINGS, TOPICS, endings)
    ]
    return _write(folder / "intents.jsonl", rows)


def topic_sets_file(folder: Path) -> Path:
    """Texts with none, one or two topic words, labelled by all of them."""
    rows = []
    for opening, first, second in product(_OPENINGS, ("", *TOPICS), ("", *TOPICS)):
        words = [word for word in dict.fromkeys((first, second)) if word]
        text = f"{opening} {' and the '.join(words)}".strip()
        rows.append({"text": text, "labels": sorted({topic_label(word) for word in words})})
    return _write(folder / "topics.jsonl", rows)


def mentions_file(folder: Path) -> Path:
    """Texts with a name, and a surname where the two are of one label; some without any."""
    rows = []
    for opening, (number, name), ending in product(
        ("we want to help", "help", "😀 é please, it is the", "where is my", "😀 we met"),
        enumerate(NAMES),
        _ENDINGS,
    ):
        surface = f"{name.title()} {SURNAMES[number].title()}"
        start = len(opening) + 1
        entity = {"start": start, "end": start + len(surface), "label": name_label(name)}
        rows.append({"text": f"{opening} {surface}{ending}", "entities": [entity]})
        rows.append({"text": f"{opening} the {TOPICS[number]}{ending}", "entities": []})
    return _write(folder / "mentions.jsonl", rows)


def _write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


LABELS = sorted(CLASSIFICATION_LABELS)
