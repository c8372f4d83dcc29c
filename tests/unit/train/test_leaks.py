"""Rows of validation and test that an older version has learnt are told: of the one that the training goes on from, and of the champion."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.train.retention import Retention
from services.train.spec import Continuation, QualityGates
from services.train.trainer.corpus import Corpus, read_corpus
from services.train.trainer.leaks import check_held_out, learnt_before
from shared.data.inspection.findings import Finding
from shared.data.rows import Row, SplitName
from shared.errors import DatasetInvalidError
from shared.store.datasets import DatasetStore
from shared.store.memory import MemoryStore
from shared.store.models import ModelStore
from tests.tiny import tiny_manifest
from tests.unit.train.jobs.records import SPEC


class Desk:
    """A store in which versions have learnt texts."""

    def __init__(self, folder: Path) -> None:
        self.objects = MemoryStore()
        self.models, self.datasets = ModelStore(self.objects), DatasetStore(self.objects)
        self._folder = folder

    def save(self, name: str, train: Sequence[str], validation: Sequence[str], test: Sequence[str]) -> str:
        """Store a snapshot of these texts; return its name."""
        texts: dict[SplitName, Sequence[str]] = {"train": train, "validation": validation, "test": test}
        rows = {
            split: [Row(each, label="ab"[i % 2]) for i, each in enumerate(texts[split])] for split in texts
        }
        return self.datasets.save(name, "classification", rows).name

    def learn(self, *texts: str, after: str = "") -> str:
        """Publish a version of these train rows, whose weights come from `after`."""
        name = self.models.reserve("support", "job-0000000000000000")
        manifest, paths = tiny_manifest(
            self._folder / str(name.number), "classification", model="support", number=name.number
        )
        dataset = self.save(
            f"of-{name.number}", texts, ["its validation a", "its validation b"], ["its test"]
        )
        lineage = manifest.lineage.model_copy(update={"dataset": dataset, "parent_version": after or None})
        for path in paths.values():
            self.models.put_file(path)
        self.models.publish(manifest.model_copy(update={"lineage": lineage}))
        return str(name)

    def found(
        self, validation: Sequence[str], test: Sequence[str], *, after: str = "", champion: str = ""
    ) -> list[Finding]:
        """What is told of a job on rows with these texts."""
        dataset = self.save("new", ["new train a", "new train b"], validation, test)
        continues = Continuation(version=after) if after else None
        gates = QualityGates(champion=champion)
        spec = SPEC.model_copy(update={"dataset": dataset, "continues": continues, "gates": gates})
        return list(learnt_before(self.objects, spec, read_corpus(self.datasets, spec)))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty one."""
    return Desk(tmp_path)


def test_rows_that_the_parent_has_learnt_are_told_with_their_places(desk: Desk) -> None:
    """Equal but for case, spacing and punctuation; what it was validated and tested by is no leak."""
    parent = desk.learn("My card is lost", "where is it?")
    (told,) = desk.found(
        ["Where is it", "something else"], ["its test", "my CARD is  lost!", "its validation a"], after=parent
    )
    assert (told.kind, told.count, told.places) == ("LEARNT_BEFORE", 2, ("validation:1", "test:2"))
    assert "support@1, which the training goes on from, has learnt the same text" in told.message


def test_rows_that_the_champion_has_learnt_are_told(desk: Desk) -> None:
    """By the version that the alias means; in train they harm nobody."""
    desk.learn("my card is lost", "new train a")
    desk.models.set_alias("support", "production", 1, expected=None, actor="test", reason="")
    (told,) = desk.found(["v a", "v b"], ["my card is lost"], champion="support@production")
    assert (told.count, told.places) == (1, ("test:1",))
    assert "support@1, which the new version is compared with," in told.message


def test_a_champion_that_is_the_parent_is_told_of_once(desk: Desk) -> None:
    """In both its roles; another version beside it has a finding of its own."""
    first, second = desk.learn("one", "two"), desk.learn("one", "three")
    (told,) = desk.found(["v a", "v b"], ["one"], after=first, champion=first)
    assert "the training goes on from and the new version is compared with" in told.message
    messages = [each.message for each in desk.found(["v a", "v b"], ["one"], after=first, champion=second)]
    assert [message.partition(",")[0] for message in messages] == [first, second]


def test_what_a_version_s_own_parent_learnt_is_in_its_weights(desk: Desk) -> None:
    """Through any number of them."""
    first = desk.learn("one", "two")
    second = desk.learn("three", "four", after=first)
    third = desk.learn("five", "six", after=second)
    (told,) = desk.found(["four", "v b"], ["two", "six", "seven"], after=third)
    assert told.places == ("validation:1", "test:1", "test:2")


def test_where_nothing_was_learnt_before_nothing_is_told(desk: Desk) -> None:
    """New rows; no parent and no champion; a champion that is not there yet."""
    version = desk.learn("one", "two")
    assert desk.found(["v a", "v b"], ["three"], after=version, champion=version) == []
    assert desk.found(["one", "v b"], ["two"]) == []
    assert desk.found(["one", "v b"], ["two"], champion="support@production") == []


async def test_rows_that_are_gone_cannot_be_compared_with(desk: Desk) -> None:
    """That is told too, by the dataset's name; what older versions learnt is looked at all the same."""
    first = desk.learn("one", "two")
    second = desk.learn("three", "four", after=first)
    await Retention(desk.datasets, list, asyncio.Lock(), threading.Lock).delete("of-2")
    known, gone = desk.found(["v a", "v b"], ["one"], after=second)
    assert known.places == ("test:1",)
    assert (gone.kind, gone.count, gone.places) == ("LEARNT_BEFORE", 0, ())
    assert "of-2@sha256" in gone.message


def corpus_of(validation: Sequence[str], test: Sequence[str]) -> Corpus:
    """Four train texts, and these beside them."""
    texts: dict[SplitName, Sequence[str]] = {
        "train": ["one", "two", "three", "four"],
        "validation": validation,
        "test": test,
    }
    rows = {split: [Row(each, label="a") for each in of_split] for split, of_split in texts.items()}
    return Corpus("classification", ("a",), rows)


def test_a_split_of_which_half_stands_in_train_proves_nothing() -> None:
    """No job begins: every split that is so is named with its rows, and what to do; a test split that was drawn anew is left alone."""
    with pytest.raises(
        DatasetInvalidError, match="2 of 4 rows of validation and 1 of 1 rows of test stand in train"
    ) as told:
        check_held_out(corpus_of(["One!", "new", "TWO", "newer"], ["four"]))
    assert [each.field for each in told.value.problems] == ["validation:1", "validation:3", "test:1"]
    with pytest.raises(DatasetInvalidError, match="drop-leaks") as told:
        check_held_out(corpus_of(["new"], ["one", "two", "newest"]))
    assert [each.field for each in told.value.problems] == ["test:1", "test:2"]


def test_fewer_leaks_stop_no_job() -> None:
    """Less than half of each split; and there may be no test rows."""
    check_held_out(corpus_of(["one", "new", "newer"], ["new", "newer", "two"]))
    check_held_out(corpus_of(["new"], []))
