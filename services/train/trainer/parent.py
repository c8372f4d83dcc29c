"""The version that a training goes on from: its weights where they fit, its rows, and what the new one forgot of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from services.train.spec import Continuation
from services.train.trainer.champion import evaluation_of
from services.train.trainer.corpus import Corpus, read_rows
from services.train.trainer.labels import kept_labels, output_rows
from services.train.trainer.replay import CHOSEN_ON, in_scope, join, renamed_rows, unknown_rows
from services.train.trainer.weights import Weights, encoder_weights, head_weights, load_weights
from shared.data.inspection.findings import Finding, Kind
from shared.data.rows import Row, SplitName
from shared.errors import DatasetNotFoundError, ModelNotLoadableError
from shared.names import DatasetName, VersionName
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.scoring.comparison import compare
from shared.store.cache import FileCache
from shared.store.datasets import DatasetStore
from shared.store.evaluation import Comparison
from shared.store.manifest import ClassificationDecoding, Manifest
from shared.store.models import ModelStore
from shared.store.port import ObjectStore


@dataclass(frozen=True, slots=True)
class Parent:
    """A version, opened for a training that goes on from it."""

    manifest: Manifest
    asked: Continuation
    weights: Weights
    tokenizer: Path
    rows: dict[
        SplitName, list[Row]
    ]  # that it learnt from, those out of scope too, labels by their new names; none where they are gone
    files: FileCache

    def joined(self, corpus: Corpus, *, seed: int) -> tuple[Corpus, int]:
        """Return the corpus to train on, and how many of its train rows, and rows out of scope, are replayed."""
        return join(corpus, self.rows, self.asked, seed=seed) if self.rows else (corpus, 0)

    def abstention_lost(self, corpus: Corpus) -> Iterator[Finding]:
        """Tell that the new version will always answer where this one abstained: `corpus`, as it is trained on, has no rows out of scope to choose a threshold by."""
        decoding = self.manifest.decoding
        abstained = isinstance(decoding, ClassificationDecoding) and decoding.unknown_below is not None
        if abstained and not any(map(corpus.out_of_scope.get, CHOSEN_ON)):
            message = (
                f"{self.manifest.version} gives no answer where it is not sure; the new version always will: there are no rows out of scope to choose a threshold by."
                " Add some, or replay those that it was shown, by a replay_share above 0"
            )
            yield Finding(Kind.ABSTENTION_LOST, message, 0)

    def carry_encoder(self, encoder: nn.Module) -> None:
        """Put its encoder's weights into `encoder`, if they learnt."""
        if weights := encoder_weights(self.weights):
            encoder.load_state_dict(weights)

    def carry_head(self, head: nn.Module, labels: Sequence[str]) -> None:
        """Put its head into `head`, the rows of the last layer label by label; those of new labels stay as they were made."""
        old, state = head_weights(self.weights), head.state_dict()
        last = max(name.rpartition(".")[0] for name in state if name.startswith("layers."))
        before = self.manifest.labels
        kept = kept_labels(before, labels, self.asked.label_renames)
        pairs = output_rows(self.manifest.task, before, labels, kept)
        with torch.no_grad():
            for name, tensor in state.items():
                if name.rpartition(".")[0] != last:
                    tensor.copy_(old[name])
                    continue
                for row, row_before in pairs:
                    tensor[row] = old[name][row_before]

    def forgotten(self, model: Model, corpus: Corpus, *, threads: int) -> Comparison | None:
        """Have both answer what proved the parent, as far as the new version knows its labels and neither learnt it nor was chosen by it; None where nothing is left."""
        learnt_from = in_scope(self.rows)
        split: SplitName = "test" if learnt_from.get("test") else "validation"
        rows = unknown_rows(corpus, learnt_from.get(split, ()), CHOSEN_ON)
        if not rows:
            return None
        old = Corpus(
            corpus.task, corpus.labels, {"train": learnt_from["train"], "validation": [], "test": rows}
        )
        before = Model.load(self.manifest, Parts(self.files.fetch), Execution(threads=threads))
        was = evaluation_of(before, old, "test", renames=self.asked.label_renames)
        before.close()
        now = evaluation_of(model, old, "test")
        return compare(
            str(self.manifest.version), f"{split} of {self.manifest.lineage.dataset}", before=was, after=now
        )


def open_parent(objects: ObjectStore, asked: Continuation, scratch: Path) -> Parent:
    """Fetch what is needed of a version. Raises ModelNotLoadableError, ArtifactCorruptError, and DatasetNotFoundError if rows to replay are gone."""
    manifest = ModelStore(objects).manifest(VersionName.parse(asked.version))
    if manifest.weights is None:
        raise ModelNotLoadableError(
            f"{asked.version} was published without its weights.",
            model_version=asked.version,
            cause="weights",
        )
    files = FileCache(objects, scratch / "parent")
    return Parent(
        manifest,
        asked,
        load_weights(files.fetch(manifest.weights)),
        files.fetch(manifest.tokenization.file),
        _rows(objects, manifest, asked, needed=bool(asked.replay_share or asked.keeps_labels)),
        files,
    )


def _rows(
    objects: ObjectStore, manifest: Manifest, asked: Continuation, *, needed: bool
) -> dict[SplitName, list[Row]]:
    """Read what a version learnt from, and what it replayed of its own parent, each row with the names that `asked` gives its labels."""
    try:
        read = read_rows(DatasetStore(objects), manifest.lineage.dataset, manifest.task)
    except DatasetNotFoundError:
        if needed:  # it was there when the job was accepted
            raise
        return {}
    older = {}
    if manifest.lineage.replayed_version is not None:
        earlier = Continuation.model_validate(manifest.lineage.spec["continues"])
        grandparent = ModelStore(objects).manifest(VersionName.parse(earlier.version))
        older = _rows(objects, grandparent, earlier, needed=needed)
    return {
        split: renamed_rows(
            [
                *(_from(manifest, row) for row in rows),
                *(row for row in older.get(split, ()) if set(row.labels) <= set(manifest.labels)),
            ],
            asked.label_renames,
        )
        for split, rows in read.items()
    }


def _from(manifest: Manifest, row: Row) -> Row:
    """Give a row a place that no row of the new dataset has."""
    return replace(row, where=f"{DatasetName.parse(manifest.lineage.dataset).short}:{row.where}")
