"""A little world to train on: rows over the words of `tests.tiny`, jobs on a base, and what came of them."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from safetensors.numpy import load_file

from services.train.catalogue import base_digest
from services.train.events import PhaseStarted, Progress, Resumed, Stopped
from services.train.recipes import RECIPES
from services.train.spec import Assignment, Hyperparameters, JobSpec, QualityGates
from services.train.trainer import pipeline
from services.train.trainer.corpus import Corpus, read_corpus
from services.train.trainer.gate import gate
from services.train.trainer.publishing import Candidate
from services.train.trainer.reference import Judgement, Reference
from shared.data.rows import Row, Span, SplitName
from shared.names import VersionName
from shared.runtime.execution import Execution
from shared.runtime.model import Model
from shared.runtime.parts import Parts
from shared.store.cache import FileCache
from shared.store.datasets import DatasetStore
from shared.store.manifest import GateCheck, Manifest, Task, VariantName
from shared.store.models import ModelStore
from shared.store.opening import open_store
from tests.tiny import FILLERS, NAMES, SURNAMES, TOPICS, name_label, topic_label

FAST = Hyperparameters(
    max_epochs=8,
    batch_size=16,
    encoder_learning_rate=3e-3,
    head_learning_rate=1e-2,
    warmup_share=0.1,
    weight_decay=0.01,
    dropout=0.1,
    patience=8,
    max_tokens=32,
    pooling="masked-mean",
    label_smoothing=0.1,
)


def topic_rows(count: int, seed: int) -> list[Row]:
    """Texts with one topic word among fillers, labelled by it."""
    dice = random.Random(seed)  # noqa: S311 - test data
    rows = []
    for i in range(count):
        topic = TOPICS[i % len(TOPICS)]
        words = [*dice.choices(FILLERS, k=dice.randint(1, 6)), topic]
        dice.shuffle(words)
        rows.append(Row(" ".join(words), label=topic_label(topic)))
    return rows


def topic_set_rows(count: int, seed: int) -> list[Row]:
    """Texts with none, one, two or three topic words among fillers, labelled by all of them."""
    dice = random.Random(seed)  # noqa: S311 - test data
    rows = []
    for i in range(count):
        topics = dice.sample(TOPICS, k=i % 4)
        words = [*dice.choices(FILLERS, k=dice.randint(2, 6)), *topics]
        dice.shuffle(words)
        rows.append(Row(" ".join(words), label_set=tuple(sorted({topic_label(each) for each in topics}))))
    return rows


def name_rows(count: int, seed: int) -> list[Row]:
    """Texts with a name, and perhaps its surname, among fillers: one entity each."""
    dice = random.Random(seed)  # noqa: S311 - test data
    rows = []
    for i in range(count):
        number = i % len(NAMES)
        mention = NAMES[number].title() + (f" {SURNAMES[number].title()}" if dice.random() < 0.5 else "")
        before, after = (" ".join(dice.choices(FILLERS, k=dice.randint(1, 3))) for _ in range(2))
        span = Span(len(before) + 1, len(before) + 1 + len(mention), name_label(NAMES[number]))
        rows.append(Row(f"{before} {mention} {after}", entities=(span,)))
    return rows


def splits_of(task: Task) -> dict[SplitName, list[Row]]:
    """A dataset that a tiny base learns in seconds."""
    make = {"classification": topic_rows, "multi-label": topic_set_rows, "entities": name_rows}[task]
    train_count = 288 if task == "multi-label" else 144  # it learns from fewer words in more places
    return {"train": make(train_count, 1), "validation": make(36, 2), "test": make(36, 3)}


@dataclass(frozen=True, slots=True)
class Workplace:
    """A store folder, and jobs in it."""

    root: Path

    @property
    def models(self) -> ModelStore:
        """The versions."""
        return ModelStore(open_store(str(self.root / "store")))

    def assign(
        self,
        base: Path | None,
        task: Task,
        *,
        adaptable: bool,
        rows: Mapping[SplitName, Sequence[Row]] | None = None,
        hyperparameters: Hyperparameters = FAST,
        gates: QualityGates = QualityGates(),  # noqa: B008  # frozen
        seed: int = 13,
    ) -> Assignment:
        """Store a dataset, reserve a version and write the assignment of a job; without a base it is one of rnn-classifier."""
        store = open_store(str(self.root / "store"))
        snapshot = DatasetStore(store).save("tiny", task, rows or splits_of(task))
        number = len(list(self.root.glob("job-*")))
        job_id = f"job-{number:016x}"
        (self.root / job_id).mkdir()
        spec = JobSpec(
            model=f"tiny-{task}",
            dataset=snapshot.name,
            task=task,
            recipe=RECIPES[task] if base else "rnn-classifier",
            base_model=base.name if base else None,
            base_digest=base_digest(base) if base else None,
            adaptable=adaptable,
            hyperparameters=hyperparameters,
            seed=seed,
            gates=gates,
        )
        return Assignment(
            job_id=job_id,
            version=str(self.models.reserve(spec.model, job_id)),
            spec=spec,
            store=str(self.root / "store"),
            base_model_folder=str(base) if base else None,
            threads=1,
            kept_folder=str(self.root / job_id / "kept"),
        )

    def folder(self, assignment: Assignment) -> Path:
        """The job's folder."""
        return self.root / assignment.job_id

    def train(self, assignment: Assignment) -> "Outcome":
        """Carry out a job in this process."""
        events: list[PhaseStarted | Progress | Resumed | Stopped] = []
        scratch = self.folder(assignment) / "scratch"
        scratch.mkdir()
        # int8 is looked at on any processor, as far as it can be.
        with _watched_gate() as seen, mock.patch.object(pipeline, "multiplies_bytes", return_value=True):
            pipeline.train(assignment, emit=events.append, scratch=scratch)
        manifest = self.models.manifest(VersionName.parse(assignment.version))
        return Outcome(events, manifest, *seen[0], scratch)

    def load(self, manifest: Manifest, variant: VariantName = "fp32") -> Model:
        """Load a published version as a server would."""
        cache = FileCache(open_store(str(self.root / "store")), self.root / "cache")
        return Model.load(manifest, Parts(cache.fetch), Execution(variant))

    def corpus(self, manifest: Manifest) -> Corpus:
        """The rows that a version learnt from."""
        spec = JobSpec.model_validate(manifest.lineage.spec)
        return read_corpus(DatasetStore(open_store(str(self.root / "store"))), spec)

    def graph(self, manifest: Manifest, role: str) -> Path:
        """The local copy of one of a version's ONNX files."""
        cache = FileCache(open_store(str(self.root / "store")), self.root / "cache")
        return cache.fetch({**manifest.variants["fp32"].graphs}[role].file)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job, and what its gate was given."""

    events: list[PhaseStarted | Progress | Resumed | Stopped]
    manifest: Manifest
    reference: Reference
    judgements: Sequence[Judgement]
    candidate: Candidate
    files: Path  # the exported files

    @property
    def phases(self) -> list[str]:
        """In order."""
        return [event.phase for event in self.events if isinstance(event, PhaseStarted)]


@contextmanager
def _watched_gate() -> Iterator[list[tuple[Reference, Sequence[Judgement], Candidate]]]:
    """Keep what the real gate is called with: the trained network is not part of what a job leaves behind."""
    seen: list[tuple[Reference, Sequence[Judgement], Candidate]] = []

    def watching(
        reference: Reference, judgements: Sequence[Judgement], candidate: Candidate, *, threads: int
    ) -> tuple[GateCheck, ...]:
        seen.append((reference, judgements, candidate))
        return gate(reference, judgements, candidate, threads=threads)

    with mock.patch.object(pipeline, "gate", watching):
        yield seen


def constants(path: Path) -> list[np.ndarray]:
    """Every constant array of an ONNX file."""
    return [numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer]


def read_weights(base: Path) -> dict[str, npt.NDArray[np.float32]]:
    """The weights of a base that are read: no pooler, and no position numbers, which some files list."""
    weights = load_file(base / "model.safetensors")
    return {
        name: weight
        for name, weight in weights.items()
        if weight.dtype == np.float32 and not name.startswith("pooler.")
    }


def among(weight: npt.NDArray[np.float32], exported: list[np.ndarray]) -> bool:
    """Tell whether `weight` is there; the exporter transposes matrices."""
    return any(np.array_equal(weight, each) or np.array_equal(weight, each.T) for each in exported)
