"""What becomes of labels when a training goes on from a version: which stay, under which name, and which rows of the head they have. Pure."""

from collections.abc import Mapping, Sequence

from shared.store.manifest import Task


def kept_labels(old: Sequence[str], new: Sequence[str], renames: Mapping[str, str]) -> dict[str, str]:
    """Return the old name of each new label that was there before, by its new one; `renames` maps old names to new ones."""
    name_now = {renames.get(label, label): label for label in old}
    return {now: before for now, before in name_now.items() if now in new}


def output_rows(
    task: Task, old: Sequence[str], new: Sequence[str], kept: Mapping[str, str]
) -> list[tuple[int, int]]:
    """Return (row of the new head, row of the old one) for every output that is carried over: a label's, or its tags' and O's."""
    pairs = [(new.index(now), old.index(before)) for now, before in kept.items()]
    if task != "entities":
        return pairs
    tags = [(2 * now + part, 2 * before + part) for now, before in pairs for part in (1, 2)]
    return [(0, 0), *tags]
