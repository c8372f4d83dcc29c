"""Texts that come more than once: within a split, in several, with different labels."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from shared.data.inspection.findings import Finding, Kind, Placed, places
from shared.data.inspection.likeness import answer, canonical, near_pairs

MOST_COMPARED: Final = 100_000  # texts: an import waits for it


def repeats(rows: Sequence[Placed]) -> Iterator[Finding]:
    """Look at the texts of all splits."""
    by_text: dict[str, list[Placed]] = defaultdict(list)
    for placed in rows:
        by_text[canonical(placed.row.text)].append(placed)
    groups = list(by_text.values())
    if len(groups) > MOST_COMPARED:
        message = (
            f"nearly equal texts were not looked for: there are more than {MOST_COMPARED} different ones"
        )
        yield Finding(Kind.NOT_COMPARED, message, len(groups))
    yield from _told([group for group in groups if len(group) > 1], is_near=False)
    texts = list(by_text) if len(groups) <= MOST_COMPARED else []
    pairs = [[groups[one][0], groups[other][0]] for one, other in near_pairs(texts)]
    if any(placed.row.entities is not None for placed in rows):
        # Texts that differ in a slot are what an extractor learns from.
        pairs = [[one, other] for one, other in pairs if answer(one.row) == answer(other.row)]
    yield from _told(pairs, is_near=True)


def _told(groups: Sequence[Sequence[Placed]], *, is_near: bool) -> Iterator[Finding]:
    """Tell of groups of rows with one text each, by rising split; a group is told of once, by what is worst about it."""
    conflicts: list[Placed] = []
    leaks: list[Placed] = []
    repeated: list[Placed] = []
    for group in groups:
        later = [placed for placed in group if placed.split != group[0].split]
        if len({answer(placed.row) for placed in group}) > 1:
            conflicts += group
        elif later:
            leaks += later
        else:
            repeated += group[1:]
    text = "nearly the same text" if is_near else "the same text"
    leak_step, repeat_step = ("", "") if is_near else (_step("drop-leaks"), _step("drop-duplicates"))
    yield from _finding(
        Kind.NEAR_CONFLICT if is_near else Kind.CONFLICT,
        f"{text} has different labels: decide which is right, or what tells them apart",
        conflicts,
    )
    yield from _finding(
        Kind.NEAR_LEAK if is_near else Kind.LEAK,
        f"{text} is in another split, so that scores of these rows prove nothing: take one of them out{leak_step}",
        leaks,
    )
    yield from _finding(
        Kind.NEAR_DUPLICATE if is_near else Kind.DUPLICATE,
        f"{text} stands before in the split: it counts more than once unless you take it out{repeat_step}",
        repeated,
    )


def _step(name: str) -> str:
    return f", or import with the cleaning step `{name}`"


def _finding(kind: Kind, message: str, rows: Sequence[Placed]) -> Iterator[Finding]:
    once = list({placed.place: placed for placed in rows}.values())
    if once:
        yield Finding(kind, message, len(once), places(once))
