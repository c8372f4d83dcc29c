"""Steps over all rows: those that say nothing new, and labels that are one.

Each is given every row of an import in its split, and tells what becomes of each: itself, another row, or None where it goes. What is the same
text and the same answer is what findings call so.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from shared.data.cleaning.spans import relabelled
from shared.data.inspection.findings import Placed
from shared.data.inspection.likeness import answer, canonical, folded_label
from shared.data.rows import Row


def merge_labels(rows: Sequence[Placed]) -> list[Row | None]:
    """Give labels that differ by case, by how Unicode writes them, by what parts their words, or by a full stop the spelling that train has most often.

    Other signs tell labels apart: C, C++ and C# are three.
    """
    counts = Counter((label, placed.split == "train") for placed in rows for label in placed.row.labels)
    spellings: dict[str, set[str]] = defaultdict(set)
    for label, _ in counts:
        spellings[folded_label(label)].add(label)

    def rank(label: str) -> tuple[int, int, str]:
        in_train, elsewhere = counts[label, True], counts[label, False]
        return (-in_train, -elsewhere, label)

    names = {label: min(alike, key=rank) for alike in spellings.values() for label in alike}
    return [relabelled(placed.row, names) for placed in rows]


def drop_duplicates(rows: Sequence[Placed]) -> list[Row | None]:
    """Drop rows whose text and answer stand before in their split."""
    seen: set[object] = set()
    kept: list[Row | None] = []
    for placed in rows:
        content = (placed.split, _content(placed.row))
        kept.append(None if content in seen else placed.row)
        seen.add(content)
    return kept


def drop_leaks(rows: Sequence[Placed]) -> list[Row | None]:
    """Drop rows of train whose text and answer stand in validation or test too: scores of these would prove nothing."""
    held_out = {_content(placed.row) for placed in rows if placed.split != "train"}
    return [
        None if placed.split == "train" and _content(placed.row) in held_out else placed.row
        for placed in rows
    ]


def _content(row: Row) -> tuple[object, ...]:
    return (canonical(row.text), answer(row))
