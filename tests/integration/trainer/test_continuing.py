"""Trainings that go on from a version: what it knew is carried over label by label, replayed, and what is forgotten is told."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from services.train.presets import STANDARD
from services.train.spec import Continuation
from services.train.trainer.corpus import Corpus
from services.train.trainer.labels import kept_labels, output_rows
from services.train.trainer.parent import open_parent
from services.train.trainer.replay import join, renamed_rows, spread
from shared.data.inspection.likeness import canonical
from shared.data.rows import Row, Span, SplitName
from shared.errors import DatasetNotFoundError
from shared.runtime.model import Model
from shared.store.datasets import DatasetStore
from shared.store.layout import blob
from shared.store.manifest import Manifest, StoredFile, Task
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.integration.trainer.world import FAST, Outcome, Workplace, name_rows, splits_of, topic_rows
from tests.tiny import FILLERS, NAMES, SURNAMES, tiny_manifest

STILL = FAST.model_copy(
    update={"max_epochs": 1, "encoder_learning_rate": 1e-12, "head_learning_rate": 1e-12, "weight_decay": 0.0}
)
Splits = dict[SplitName, list[Row]]
Trained = Callable[[Task, bool], Outcome]


def going_on(
    workplace: Workplace, base: Path | None, parent: Manifest, rows: Splits, **asked: object
) -> Manifest:
    """Train on `rows` from `parent`, hardly moving its weights unless hyperparameters are among what is asked."""
    chosen = asked.pop("hyperparameters", STILL)
    assignment = workplace.assign(
        base, parent.task, adaptable=parent.lineage.adaptable, rows=rows, hyperparameters=chosen
    )
    continues = Continuation(version=str(parent.version), **asked)
    spec = assignment.spec.model_copy(update={"continues": continues})
    return workplace.train(assignment.model_copy(update={"spec": spec})).manifest


def decisions(model: Model, texts: list[str]) -> list[object]:
    """What a version decides."""
    return [model.decide(text, model.run(list(text.windows))) for text in model.encode(texts)]


@pytest.mark.parametrize("adaptable", [True, False])
@pytest.mark.parametrize("task", ["classification", "multi-label", "entities"])
def test_a_version_that_learns_nothing_more_decides_as_its_parent(
    workplace: Workplace, tiny_base: Path, trained: Trained, task: Task, adaptable: bool
) -> None:
    """With rates of nought every weight of encoder and head is carried over: the same rows are decided alike."""
    parent = trained(task, adaptable).manifest
    rows = splits_of(task)
    rows["test"] = [*rows["test"], rows["train"][0]]
    manifest = going_on(workplace, tiny_base, parent, rows)
    texts = [row.text for row in rows["test"]]
    assert decisions(workplace.load(manifest), texts) == decisions(workplace.load(parent), texts)
    assert manifest.lineage.parent_version == str(parent.version)
    learnt = {canonical(row.text) for row in rows["train"]}
    chosen_by = learnt | {canonical(row.text) for row in rows["validation"]}
    asked = [row for row in splits_of(task)["test"] if canonical(row.text) not in chosen_by]
    assert (
        manifest.forgetting is not None
    )  # rows that both are tested on, and neither has learnt, tell what was forgotten
    assert (manifest.forgetting.row_count, manifest.forgetting.gain) == (len(asked), 0)
    again = [row for split in ("validation", "test") for row in rows[split] if canonical(row.text) in learnt]
    told = [each.count for each in manifest.findings if each.kind == "LEARNT_BEFORE"]
    assert told == [len(again)]


def test_a_network_from_scratch_goes_on_with_its_own_vocabulary(workplace: Workplace) -> None:
    """The tokenizer is the parent's, not one that is learnt anew from other rows."""
    shape = STANDARD["rnn-classifier", True].recurrent
    assert shape is not None
    small = shape.model_copy(update={"width": 16, "embedding_width": 16, "vocabulary_size": 300})
    parent = workplace.train(
        workplace.assign(
            None,
            "classification",
            adaptable=True,
            hyperparameters=FAST.model_copy(update={"recurrent": small}),
        )
    ).manifest
    rows = splits_of("classification")
    fewer: Splits = {**rows, "train": topic_rows(90, 7)}
    manifest = going_on(
        workplace,
        None,
        parent,
        fewer,
        hyperparameters=STILL.model_copy(update={"recurrent": small}),
        replay_share=0,
    )
    assert manifest.tokenization.file == parent.tokenization.file
    texts = [row.text for row in rows["test"]]
    assert decisions(workplace.load(manifest), texts) == decisions(workplace.load(parent), texts)


def test_labels_move_and_change_their_names(workplace: Workplace, tiny_base: Path, trained: Trained) -> None:
    """A new label that sorts first moves all rows of the head, one is renamed, and both decide as the parent did."""
    parent = trained("classification", True).manifest
    old, *_ = parent.labels
    rows = {
        split: [
            *renamed_rows(of_split, {old: "zebra"}),
            Row(f"{NAMES[0]} {NAMES[1]} {split}", label="aaa"),
            Row(f"{NAMES[2]} {NAMES[3]} {split}", label="aaa"),
        ]
        for split, of_split in splits_of("classification").items()
    }
    manifest = going_on(workplace, tiny_base, parent, rows, label_renames={old: "zebra"}, replay_share=0)
    assert manifest.labels == tuple(sorted({*parent.labels, "aaa", "zebra"} - {old}))
    texts = [row.text for row in splits_of("classification")["test"]]
    before = decisions(workplace.load(parent), texts)
    after = decisions(workplace.load(manifest), texts)
    expected = [frozenset("zebra" if label == old else label for label in each) for each in before]  # type: ignore[attr-defined]
    assert sum(a == b for a, b in zip(after, expected, strict=True)) >= 0.9 * len(
        texts
    )  # `aaa` has random weights


def name_topics(count: int, seed: int) -> list[Row]:
    """Texts about things that the topics' versions never heard of, with two labels of their own."""
    dice = random.Random(seed)  # noqa: S311 - test data
    rows = []
    for i in range(count):
        words, label = ((NAMES, "first"), (SURNAMES, "last"))[i % 2]
        text = [dice.choice(words), *dice.choices(FILLERS, k=dice.randint(2, 6))]
        dice.shuffle(text)
        rows.append(Row(" ".join(text), label=label))
    return rows


@pytest.fixture(scope="module")
def taught_more(workplace: Workplace, tiny_base: Path, trained: Trained) -> Callable[[float], Manifest]:
    """`taught_more(share)`: the topics' version, taught two new labels alone, with so much replayed."""
    parent = trained("classification", True).manifest
    rows: Splits = {
        "train": name_topics(144, 5),
        "validation": name_topics(36, 6),
        "test": name_topics(36, 7),
    }

    def teach(share: float) -> Manifest:
        return going_on(
            workplace, tiny_base, parent, rows, hyperparameters=FAST, keeps_labels=True, replay_share=share
        )

    return teach


def test_replay_keeps_what_was_known(taught_more: Callable[[float], Manifest]) -> None:
    """Taught two new labels alone: with replay old and new are known; with none the old ones are forgotten, and both are told by label."""
    guarded, careless = taught_more(1.0), taught_more(0.0)
    assert guarded.lineage.replayed_row_count == 144
    for manifest in (guarded, careless):
        assert {"first", "last"} < set(manifest.labels)
        assert manifest.evaluations["fp32"]["test"].metrics["accuracy"] > 0.9
        assert manifest.forgetting is not None
        assert (
            manifest.forgetting.row_count >= 30
        )  # of 36, without those whose text stands among the new rows
        assert {change.name for change in manifest.forgetting.labels} <= set(manifest.labels) - {
            "first",
            "last",
        }
    assert guarded.forgetting is not None
    assert careless.forgetting is not None
    assert guarded.forgetting.gain > -0.1
    assert careless.forgetting.gain < guarded.forgetting.gain - 0.1
    worst = careless.forgetting.labels[0]
    assert worst.after < worst.before


def test_a_damaged_parent_costs_no_more_than_what_was_forgotten(
    workplace: Workplace, trained: Trained, taught_more: Callable[[float], Manifest]
) -> None:
    """Its graph is needed for the comparison alone: what was trained is published, and the manifest says what it cannot tell."""
    graph = trained("classification", True).manifest.variants["fp32"].graphs["model"].file
    path = workplace.root / "store" / blob(graph.digest)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    try:
        manifest = taught_more(0.0)
    finally:
        path.write_bytes(whole)
    assert (manifest.state, manifest.forgetting) == ("published", None)
    (told,) = (each for each in manifest.findings if each.kind == "PARENT_UNREADABLE")
    assert str(manifest.lineage.parent_version) in told.message or graph.digest in told.message


def test_labels_that_the_dataset_lacks_are_dropped_unless_they_are_kept(
    workplace: Workplace, tiny_base: Path, trained: Trained
) -> None:
    """Without keeps_labels the version has the dataset's labels, and replays no row of any other."""
    parent = trained("classification", True).manifest
    gone = parent.labels[-1]
    rows = {
        split: [row for row in of_split if row.label != gone]
        for split, of_split in splits_of("classification").items()
    }
    manifest = going_on(workplace, tiny_base, parent, rows)
    assert manifest.labels == parent.labels[:-1]
    assert manifest.lineage.replayed_row_count == 0  # all its other rows are there already


def test_what_was_replayed_before_may_be_gone_where_nothing_is_replayed(tmp_path: Path) -> None:
    """Of a parent to which rows of its own parent were replayed, which were deleted since, the rows that are left are read; a replay needs them all."""
    objects = MemoryStore()
    models, datasets = ModelStore(objects), DatasetStore(objects)
    left = datasets.save("left", "classification", splits_of("classification"))
    old = Continuation(version="topics@1")
    (tmp_path / "weights").write_bytes(save({"head.layers.0.bias": torch.zeros(3)}))
    lineages: tuple[dict[str, object], ...] = (
        {"dataset": f"gone@sha256:{'0' * 64}"},
        {
            "dataset": left.name,
            "spec": {"continues": old.model_dump()},
            "parent_version": old.version,
            "replayed_row_count": 1,
        },
    )
    for number, of_lineage in enumerate(lineages, start=1):
        manifest, _ = tiny_manifest(tmp_path / str(number), "classification", model="topics", number=number)
        lineage = manifest.lineage.model_copy(update=of_lineage)
        weights = StoredFile.model_validate(models.put_file(tmp_path / "weights"))
        put_all(models, tmp_path / str(number))
        models.reserve("topics", manifest.lineage.job_id)
        models.publish(manifest.model_copy(update={"lineage": lineage, "weights": weights}))
    parent = open_parent(objects, Continuation(version="topics@2", replay_share=0), tmp_path / "a")
    assert len(parent.rows["train"]) == left.splits["train"].row_count
    with pytest.raises(DatasetNotFoundError):
        open_parent(objects, Continuation(version="topics@2"), tmp_path / "b")


def put_all(models: ModelStore, folder: Path) -> None:
    """Store the files of a version."""
    for path in folder.iterdir():
        models.put_file(path)


def test_labels_are_kept_by_their_new_names() -> None:
    """Neither a new label nor one that is gone is among them."""
    assert kept_labels(("a", "b", "c"), ("b", "d", "x"), {"a": "x"}) == {"x": "a", "b": "b"}


def test_tags_are_carried_over_in_pairs() -> None:
    """The row of O, and those of B and I of each label, wherever they stand now."""
    kept = kept_labels(("a", "b"), ("aa", "b"), {})
    assert output_rows("entities", ("a", "b"), ("aa", "b"), kept) == [(0, 0), (3, 3), (4, 4)]
    moved = kept_labels(("b",), ("a", "b"), {})
    assert output_rows("entities", ("b",), ("a", "b"), moved) == [(0, 0), (3, 1), (4, 2)]
    assert output_rows("classification", ("b",), ("a", "b"), moved) == [(1, 0)]


def corpus_of(**labels: int) -> Corpus:
    """Train rows of some labels, and one of each for validation."""
    train = [Row(f"{label} {i}", label=label) for label, count in labels.items() for i in range(count)]
    validation = [Row(f"v {label}", label=label) for label in labels]
    return Corpus(
        "classification", tuple(sorted(labels)), {"train": train, "validation": validation, "test": []}
    )


def test_replayed_rows_are_spread_over_labels_and_are_none_that_is_there() -> None:
    """A rare label gives as many as a frequent one; a text that stands in any split of the new rows is not drawn again, whatever its case."""
    corpus = corpus_of(a=20, b=20)
    old = {
        "train": [
            *(Row(f"old a {i}", label="a") for i in range(50)),
            *(Row(f"old b {i}", label="b") for i in range(5)),
            Row("A 3", label="a"),
            Row("V B", label="b"),
            Row("other", label="c"),
        ],
        "validation": [],
    }
    joined, count = join(corpus, old, Continuation(version="m@1", replay_share=0.2), seed=1)
    drawn = joined.splits["train"][40:]
    assert count == len(drawn) == 8
    assert sorted(row.label or "" for row in drawn) == ["a"] * 4 + ["b"] * 4
    assert all(row.text.startswith("old") for row in drawn)
    assert joined.labels == ("a", "b")
    again, _ = join(corpus, old, Continuation(version="m@1", replay_share=0.2), seed=1)
    assert again == joined


def strays(count: int, name: str) -> list[Row]:
    """Rows that belong to no label."""
    return [Row(f"stray {name} {i}", out_of_scope=True) for i in range(count)]


def test_rows_out_of_scope_are_replayed_where_there_are_none() -> None:
    """As many as the share asks for and fifty at least, none whose text stands in the new rows; beside the in-scope ones, and counted with them."""
    corpus = corpus_of(a=20, b=20)
    old = {
        "train": [*strays(70, "t"), Row("A 3", out_of_scope=True)],
        "validation": [*strays(7, "v"), Row("old", label="a")],
    }
    joined, count = join(corpus, old, Continuation(version="m@1", replay_share=0.2), seed=1)
    assert {split: len(rows) for split, rows in joined.out_of_scope.items()} == {"train": 50, "validation": 7}
    assert all(row.text.startswith("stray") for rows in joined.out_of_scope.values() for row in rows)
    assert (joined.splits, count) == (corpus.splits, 57)
    many, _ = join(corpus, old, Continuation(version="m@1", replay_share=1.5), seed=1)
    assert len(many.out_of_scope["train"]) == 60
    none, count = join(corpus, old, Continuation(version="m@1", replay_share=0), seed=1)
    assert (none, count) == (corpus, 0)


def test_rows_out_of_scope_of_its_own_are_enough() -> None:
    """A split that has some gets no others."""
    own = strays(2, "own")
    corpus = replace(corpus_of(a=5, b=5), out_of_scope={"train": [], "validation": own, "test": []})
    old = {"train": strays(3, "t"), "validation": strays(3, "v")}
    joined, _ = join(corpus, old, Continuation(version="m@1"), seed=1)
    assert (len(joined.out_of_scope["train"]), joined.out_of_scope["validation"]) == (3, own)


def test_kept_labels_are_proved_by_old_rows() -> None:
    """Validation gets rows of labels that it lacks, and of no other."""
    corpus = corpus_of(a=10, b=10)
    old = {
        "train": [Row(f"old {label} {i}", label=label) for label in "ac" for i in range(20)],
        "validation": [Row(f"proof {label} {i}", label=label) for label in "ac" for i in range(20)],
    }
    joined, _ = join(corpus, old, Continuation(version="m@1", keeps_labels=True, replay_share=1), seed=1)
    assert joined.labels == ("a", "b", "c")
    assert [row.label for row in joined.splits["validation"][2:]] == ["c", "c"]


def test_spreading_gives_no_more_than_there_is() -> None:
    """All rows, once each, where more are asked for."""
    rows = name_rows(10, 1)
    assert sorted(row.text for row in spread(rows, 99, 3)) == sorted(row.text for row in rows)
    assert spread(rows, 0, 3) == []


def test_every_kind_of_row_gets_new_names() -> None:
    """One label, several, and those of spans, each by its own field."""
    renames = {"a": "z"}
    one = Row("x", label="a")
    several = Row("x", label_set=("a", "b"))
    spans = Row("x y", entities=(Span(0, 1, "a"), Span(2, 3, "b")))
    assert renamed_rows([one, several, spans], renames) == [
        replace(one, label="z"),
        replace(several, label_set=("b", "z")),
        replace(spans, entities=(Span(0, 1, "z"), Span(2, 3, "b"))),
    ]
