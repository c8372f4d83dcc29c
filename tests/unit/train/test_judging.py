"""What a version is held to before it is promoted, and what it is compared with: as it will be served, under the names that its labels have now."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from services.train.spec import Continuation, JobSpec, QualityGates, Work
from services.train.trainer.corpus import Corpus
from services.train.trainer.judging import judge
from services.train.trainer.publishing import Candidate
from shared.data.rows import Row
from shared.store.evaluation import QualityCheck
from shared.store.manifest import Manifest
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import CLASSIFICATION_LABELS, TOPICS, publish_tiny, tiny_manifest, topic_label
from tests.unit.train.jobs.records import SPEC

RENAMES = {"billing": "fees"}
GATES = QualityGates(champion="support@production", most_points_lost=0, most_label_points_lost=0)


class Court:
    """A champion in production, and challengers beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._objects = MemoryStore()
        self._models = ModelStore(self._objects)

    def crown(self, *, seed: int = 0) -> None:
        """Publish the champion; by seed 0 all its answers are right."""
        version = publish_tiny(
            self._models, "support", "classification", scratch=self._folder / "champion", seed=seed
        )
        self._models.set_alias(
            "support", "production", version.number, expected=None, actor="test", reason=""
        )

    def judged(
        self, corpus: Corpus, gates: QualityGates, *, renames: Mapping[str, str] | None = None
    ) -> Manifest:
        """Judge a challenger that answers every row of `corpus` rightly, and goes on from the champion with these renames."""
        manifest, paths = tiny_manifest(
            self._folder / "challenger", "classification", corpus.labels, model="support", number=2
        )
        work = Work(spec=spec_of(gates, renames), store="unused", base_model_folder=None, threads=1)
        scratch = self._folder / "scratch"
        return judge(manifest, Candidate(manifest, paths), corpus, work, self._objects, scratch)


@pytest.fixture
def court(tmp_path: Path) -> Court:
    """Nobody is there yet."""
    return Court(tmp_path)


def spec_of(gates: QualityGates, renames: Mapping[str, str] | None) -> JobSpec:
    """A job with these gates; with `renames` it goes on from the champion."""
    continues = None if renames is None else Continuation(version="support@1", label_renames=dict(renames))
    return SPEC.model_copy(update={"model": "support", "gates": gates, "continues": continues})


def corpus_of(labels: tuple[str, ...]) -> Corpus:
    """Rows of every topic for train and validation, with the labels that a tiny version gives them by seed 0."""
    rows = [Row(f"the {word}", label=topic_label(word, labels)) for word in TOPICS]
    return Corpus("classification", labels, {"train": rows, "validation": rows, "test": []})


def by_name(manifest: Manifest) -> dict[str, QualityCheck]:
    """The quality checks."""
    return {check.name: check for check in manifest.quality_checks}


def test_a_champion_s_answers_count_under_the_new_names_of_its_labels(court: Court) -> None:
    """Both answer alike, the champion by the old name: nothing is lost and nothing gained; the label is compared by its new name."""
    court.crown()
    renamed = tuple(RENAMES.get(label, label) for label in CLASSIFICATION_LABELS)
    manifest = court.judged(corpus_of(renamed), GATES, renames=RENAMES)
    assert manifest.comparison is not None
    assert manifest.comparison.gain == 0
    assert {each.name: each.before for each in manifest.comparison.labels} == dict.fromkeys(renamed, 1.0)


def test_a_name_that_the_rows_still_have_is_left_alone(court: Court) -> None:
    """A rename whose old name is a label of the new rows too says nothing of the champion's answers by it."""
    court.crown()
    manifest = court.judged(corpus_of(CLASSIFICATION_LABELS), GATES, renames=RENAMES)
    assert manifest.comparison is not None
    assert manifest.comparison.gain == 0
