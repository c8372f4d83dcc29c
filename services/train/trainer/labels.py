"""What becomes of labels when a training goes on from a version: which stay, under which name, and which rows of the head they have. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.store.manifest import Task


@dataclass(frozen=True, slots=True)
class LabelDiff:
    """The labels of a new version beside those of the one that it goes on from."""

    kept: Mapping[str, str]  # new name -> old name
    added: tuple[str, ...]
    removed: tuple[str, ...]  # old names

    @property
    def renamed(self) -> dict[str, str]:
        """Old name -> new name, of those that have another one."""
        return {old: new for new, old in self.kept.items() if old != new}


def diff_labels(old: Sequence[str], new: Sequence[str], renames: Mapping[str, str]) -> LabelDiff:
    """Compare; `renames` maps old names to new ones. Labels that are in neither keep nor lose anything."""
    name_now = {label: renames.get(label, label) for label in old}
    kept = {now: before for before, now in name_now.items() if now in new}
    return LabelDiff(
        kept,
        tuple(label for label in new if label not in kept),
        tuple(label for label in old if name_now[label] not in new),
    )


def output_rows(task: Task, old: Sequence[str], new: Sequence[str], diff: LabelDiff) -> list[tuple[int, int]]:
    """Return (row of the new head, row of the old one) for every output that is carried over: a label's, or its tags' and O's."""
    pairs = [(new.index(now), old.index(before)) for now, before in diff.kept.items()]
    if task != "entities":
        return pairs
    tags = [(2 * now + part, 2 * before + part) for now, before in pairs for part in (1, 2)]
    return [(0, 0), *tags]
