"""What a version is held to before it is promoted, and what it is compared with: as it will be served, under the names that its labels have now."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from services.train.spec import Continuation, QualityGates, Work
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
        self,
        corpus: Corpus,
        gates: QualityGates,
        *,
        renames: Mapping[str, str] | None = None,
        parent: str = "support@1",
    ) -> Manifest:
        """Judge a challenger that answers every row of `corpus` rightly; with `renames` it goes on from `parent`, by default the champion."""
        manifest, paths = tiny_manifest(
            self._folder / "challenger", "classification", corpus.labels, model="support", number=2
        )
        continues = None if renames is None else Continuation(version=parent, label_renames=dict(renames))
        spec = SPEC.model_copy(update={"model": "support", "gates": gates, "continues": continues})
        work = Work(spec=spec, store="unused", base_model_folder=None, threads=1)
        scratch = self._folder / "scratch"
        return judge(manifest, Candidate(manifest, paths), corpus, work, self._objects, scratch)


@pytest.fixture
def court(tmp_path: Path) -> Court:
    """Nobody is there yet."""
    return Court(tmp_path)


def corpus_of(labels: tuple[str, ...]) -> Corpus:
    """Rows of every topic for train and validation, with the labels that a tiny version gives them by seed 0."""
    rows = [Row(f"the {word}", label=topic_label(word, labels)) for word in TOPICS]
    return Corpus("classification", labels, {"train": rows, "validation": rows, "test": []})


def by_name(manifest: Manifest) -> dict[str, QualityCheck]:
    """The quality checks."""
    return {check.name: check for check in manifest.quality_checks}


@pytest.mark.parametrize("parent", ["support@1", "support@7"])
def test_a_champion_s_answers_count_under_the_new_names_of_its_labels(court: Court, parent: str) -> None:
    """Both answer alike, the champion by the old name: nothing is lost or gained, and the label is compared by its new name, be the champion the parent or another version."""
    court.crown()
    renamed = tuple(RENAMES.get(label, label) for label in CLASSIFICATION_LABELS)
    manifest = court.judged(corpus_of(renamed), GATES, renames=RENAMES, parent=parent)
    assert manifest.comparison is not None
    assert manifest.comparison.gain == 0
    assert {each.name: each.before for each in manifest.comparison.labels} == dict.fromkeys(renamed, 1.0)


def test_labels_that_change_their_names_round_are_renamed_all_at_once(court: Court) -> None:
    """Each old name is a new one too; that the rows still have it does not keep the parent's answers from changing theirs."""
    court.crown()
    first, second, third = CLASSIFICATION_LABELS
    manifest = court.judged(corpus_of((second, first, third)), GATES, renames={first: second, second: first})
    assert manifest.comparison is not None
    assert manifest.comparison.gain == 0


def test_a_name_that_the_rows_still_have_is_left_alone(court: Court) -> None:
    """A champion that is not the parent may have it for what the rows call so."""
    court.crown()
    corpus = corpus_of(CLASSIFICATION_LABELS)
    manifest = court.judged(corpus, GATES, renames=RENAMES, parent="support@7")
    assert manifest.comparison is not None
    assert manifest.comparison.gain == 0
