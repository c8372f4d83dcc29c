"""What a version is held to before it is promoted, and what it is compared with: as it will be served, under the names that its labels have now."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from services.train.spec import Continuation, QualityGates, Work
from services.train.trainer import judging
from services.train.trainer.corpus import Corpus
from services.train.trainer.judging import judge
from services.train.trainer.publishing import Candidate
from services.train.trainer.quality import Served
from shared.data.rows import Row
from shared.store.evaluation import QualityCheck
from shared.store.manifest import Manifest, VariantName
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import CLASSIFICATION_LABELS, TOPICS, tiny_manifest, topic_label
from tests.unit.train.jobs.records import SPEC

RENAMES = {"billing": "fees"}
GATES = QualityGates(
    champion="support@production", most_points_lost=0, most_label_points_lost=0, fewest_rows=1
)


def version(
    folder: Path, labels: Sequence[str], number: int, int8_seed: int | None
) -> tuple[Manifest, dict[str, Path]]:
    """A version whose fp32 answers are all right; with `int8_seed` it has int8 too, whose answers are right by seed 0 and wrong by others."""
    manifest, paths = tiny_manifest(folder / "fp32", "classification", labels, model="support", number=number)
    if int8_seed is None:
        return manifest, paths
    other, more = tiny_manifest(folder / "int8", "classification", labels, seed=int8_seed)
    scores = manifest.evaluations["fp32"]["validation"]
    accuracy = 0.0 if int8_seed else 1.0
    worse = scores.model_copy(update={"metrics": {**scores.metrics, "accuracy": accuracy}})
    two = {
        "variants": {**manifest.variants, "int8": other.variants["fp32"]},
        "evaluations": {**manifest.evaluations, "int8": {"validation": worse}},
    }
    return manifest.model_copy(update=two), {**paths, **more}


class Court:
    """A champion in production, and challengers beside it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._objects = MemoryStore()
        self._models = ModelStore(self._objects)

    def crown(self, *, int8_seed: int | None = None) -> None:
        """Publish the champion."""
        manifest, paths = version(self._folder / "champion", CLASSIFICATION_LABELS, 1, int8_seed)
        for path in paths.values():
            self._models.put_file(path)
        self._models.reserve("support", manifest.lineage.job_id)
        self._models.publish(manifest)
        self._models.set_alias("support", "production", 1, expected=None, actor="test", reason="")

    def judged(
        self,
        corpus: Corpus,
        gates: QualityGates,
        *,
        renames: Mapping[str, str] | None = None,
        parent: str = "support@1",
        int8_seed: int | None = None,
    ) -> Manifest:
        """Judge a challenger that answers every row of `corpus` rightly, as fp32; with `renames` it goes on from `parent`, by default the champion."""
        manifest, paths = version(self._folder / "challenger", corpus.labels, 2, int8_seed)
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


def test_a_gate_fails_where_one_variant_fails_it(court: Court) -> None:
    """As fp32 everything is right; as int8, beside a champion that has fp32 alone, everything is lost. Each check names the variant."""
    court.crown()
    gates = GATES.model_copy(update={"least_metric": 0.5})
    found = by_name(court.judged(corpus_of(CLASSIFICATION_LABELS), gates, int8_seed=1))
    told = {name: (check.passed, check.measured) for name, check in found.items()}
    assert told == {"metric": (False, 50), "champion": (False, 100), "labels": (False, 100)}
    assert all(", as int8" in check.detail for check in found.values())


def test_like_is_compared_with_like(court: Court) -> None:
    """Where the champion's int8 form is as wrong as the challenger's, nothing is lost."""
    court.crown(int8_seed=1)
    found = by_name(court.judged(corpus_of(CLASSIFICATION_LABELS), GATES, int8_seed=1))
    assert found["champion"].measured == 0


@pytest.mark.parametrize(("fastest", "gain"), [("fp32", 0), ("int8", -1)])
def test_the_comparison_is_that_of_the_variant_that_servers_choose(
    court: Court, monkeypatch: pytest.MonkeyPatch, fastest: VariantName, gain: float
) -> None:
    """And says which that is."""
    court.crown()
    monkeypatch.setattr(judging, "find_fastest", lambda *_: Served(fastest, 1, 1.0))
    manifest = court.judged(corpus_of(CLASSIFICATION_LABELS), GATES, int8_seed=1)
    assert manifest.comparison is not None
    assert (manifest.comparison.variant, manifest.comparison.gain) == (fastest, gain)
