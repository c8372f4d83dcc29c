"""Rows that a version is judged by and that an older one has learnt: the one that its training goes on from, or that it is compared with.

A text counts as learnt if it stood in train of the older version, or of any that its weights come from; equal but for case, spacing and
punctuation. Where most of a split stands in the job's own train rows, there is nothing to judge by, and no job begins.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from services.train.spec import JobSpec
from services.train.trainer.champion import find_champion
from services.train.trainer.corpus import Corpus, read_rows
from shared.data.inspection.findings import Finding, Kind, Placed, placed, places
from shared.data.inspection.likeness import canonical
from shared.data.rows import SplitName
from shared.errors import (
    ArtifactCorruptError,
    DatasetInvalidError,
    DatasetNotFoundError,
    ModelNotLoadableError,
    Problem,
    VersionNotFoundError,
)
from shared.names import VersionName
from shared.store.datasets import DatasetStore
from shared.store.manifest import Manifest
from shared.store.models import ModelStore
from shared.store.port import ObjectStore

MOST_LEAKED: Final = 0.5  # share of the rows of a split: from here on its scores say what was learnt by heart
_UNREADABLE: Final = (ArtifactCorruptError, ModelNotLoadableError, VersionNotFoundError)
_ROLES: Final = ("the training goes on from", "the new version is compared with")


def check_held_out(corpus: Corpus) -> None:
    """Raise DatasetInvalidError, naming rows, if half or more of the rows of validation, or of test, stand in train too."""
    learnt = {canonical(row.text) for row in corpus.splits["train"]}
    of_split: dict[SplitName, list[Placed]] = defaultdict(list)
    for each in placed(corpus.splits):
        if each.split != "train" and canonical(each.row.text) in learnt:
            of_split[each.split].append(each)
    grave = {
        split: rows
        for split, rows in of_split.items()
        if len(rows) >= MOST_LEAKED * len(corpus.splits[split])
    }
    if grave:
        counts = " and ".join(
            f"{len(rows)} of {len(corpus.splits[split])} rows of {split}" for split, rows in grave.items()
        )
        raise DatasetInvalidError(
            f"{counts} stand in train with the same text, so that their scores prove nothing: take them out of one of the two,"
            " or import with the cleaning step `drop-leaks`.",
            [Problem(place, "stands in train too") for rows in grave.values() for place in places(rows)],
        )


def learnt_before(objects: ObjectStore, spec: JobSpec, corpus: Corpus) -> Iterator[Finding]:
    """Tell of rows of validation and test that were learnt before, and of versions of which nobody can tell any more.

    The champion is the version that its alias means now. One that cannot be read is left to the comparison, which says so.
    """
    roles: dict[VersionName, list[str]] = defaultdict(list)
    manifests: dict[VersionName, Manifest] = {}
    references = (spec.continues.version if spec.continues else "", spec.gates.champion)
    for role, reference in zip(_ROLES, references, strict=True):
        try:
            manifest = find_champion(ModelStore(objects), reference)
        except _UNREADABLE:
            continue
        if manifest is not None:
            roles[manifest.version].append(role)
            manifests[manifest.version] = manifest
    for version, manifest in manifests.items():
        yield from _told(objects, manifest, f"{version}, which {' and '.join(roles[version])},", corpus)


def _told(objects: ObjectStore, manifest: Manifest, who: str, corpus: Corpus) -> Iterator[Finding]:
    texts, lost = _learnt(objects, manifest)
    found = [
        each for each in placed(corpus.splits) if each.split != "train" and canonical(each.row.text) in texts
    ]
    if found:
        message = f"{who} has learnt the same text, so that scores of these rows prove nothing: take them out of validation and test"
        yield Finding(Kind.LEARNT_BEFORE, message, len(found), places(found))
    if lost:
        message = f"whether {who} has learnt rows of validation or test cannot be told: of what it learnt from, {', '.join(lost)} cannot be read"
        yield Finding(Kind.LEARNT_BEFORE, message, 0)


def _learnt(objects: ObjectStore, manifest: Manifest) -> tuple[set[str], list[str]]:
    """Return the texts that a version and those before it have learnt, as `canonical` writes them, and what of that cannot be read."""
    texts: set[str] = set()
    lost: list[str] = []
    while True:
        try:
            rows = read_rows(DatasetStore(objects), manifest.lineage.dataset, manifest.task)["train"]
            texts.update(canonical(row.text) for row in rows)
        except (ArtifactCorruptError, DatasetNotFoundError):
            lost.append(manifest.lineage.dataset)
        version = manifest.lineage.parent_version
        if version is None:
            return texts, lost
        try:
            manifest = ModelStore(objects).manifest(VersionName.parse(version))
        except _UNREADABLE:
            return texts, [*lost, version]
