"""Snapshots of datasets, on every adapter."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.data.rows import Row, Span, SplitName
from shared.errors import ArtifactCorruptError, DatasetNotFoundError, NameMalformedError
from shared.names import DatasetName
from shared.store import layout
from shared.store.datasets import DatasetStore, Snapshot, SplitSummary
from shared.store.port import ObjectStore
from shared.store.records import seal
from tests.contract.store.conftest import MakeStore
from tests.contract.store.racing import race

INTENTS: dict[SplitName, list[Row]] = {
    "train": [Row("card is lost", label="card"), Row("hello", label="other"), Row("my card", label="card")],
    "validation": [Row("a card", label="card")],
    "test": [],
}
ENTITIES: dict[SplitName, list[Row]] = {
    "train": [Row("to Łódź 🚆", entities=(Span(3, 7, "city"),)), Row("nothing", entities=())],
}


@pytest.fixture
def datasets(objects: ObjectStore) -> DatasetStore:
    """Return an empty dataset store."""
    return DatasetStore(objects)


def test_a_snapshot_tells_what_it_holds(datasets: DatasetStore) -> None:
    """Counts by split and label, the labels of train sorted, and a name made of its digest; empty splits are left out."""
    snapshot = datasets.save("support", "classification", INTENTS)
    assert snapshot.task == "classification"
    assert snapshot.labels == ("card", "other")
    assert {split: summary.row_count for split, summary in snapshot.splits.items()} == {
        "train": 3,
        "validation": 1,
    }
    assert snapshot.splits["train"].label_counts == {"card": 2, "other": 1}
    assert DatasetName.parse(snapshot.name).dataset == "support"
    assert datasets.save("places", "entities", ENTITIES).splits["train"].label_counts == {"city": 1}


@pytest.mark.parametrize("rows", [INTENTS, ENTITIES], ids=["intents", "entities"])
def test_rows_come_back(datasets: DatasetStore, rows: dict[SplitName, list[Row]]) -> None:
    """Rows come back in order, with the split that they were saved in."""
    task = "entities" if rows is ENTITIES else "classification"
    snapshot = datasets.save("support", task, rows)
    for split in ("train", "validation", "test"):
        expected = [Row(row.text, row.label, row.entities, split) for row in rows.get(split, [])]
        assert datasets.rows(snapshot, split) == expected


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=())), min_size=1, max_size=5))
def test_every_text_comes_back(make_store: MakeStore, texts: list[str]) -> None:
    """Whatever a text holds (line separators, NUL, half surrogates), it comes back as it was."""
    datasets = DatasetStore(make_store())
    snapshot = datasets.save("d", "classification", {"train": [Row(text, label="a") for text in texts]})
    assert [row.text for row in datasets.rows(snapshot, "train")] == texts


def test_saving_again_finds_what_is_there(datasets: DatasetStore) -> None:
    """The same rows are the same snapshot, first creation time included; other rows, order or task are another."""
    first = datasets.save("support", "classification", INTENTS)
    assert datasets.save("support", "classification", INTENTS) == first
    swapped = {**INTENTS, "train": INTENTS["train"][::-1]}
    assert datasets.save("support", "classification", swapped).name != first.name
    assert (
        datasets.save("places", "entities", {"train": []}).name.partition("@")[2]
        != (datasets.save("places", "classification", {"train": []}).name.partition("@")[2])
    )


def test_a_snapshot_remembers_its_cleaning(
    datasets: DatasetStore, objects: ObjectStore, tmp_path: Path
) -> None:
    """The steps of the import that stored the rows first; a summary from before there were any has none, and is read."""
    snapshot = datasets.save("support", "classification", INTENTS, ("nfc", "drop-leaks"))
    assert datasets.snapshot(DatasetName("support")).cleaning == ("nfc", "drop-leaks")
    assert datasets.save("support", "classification", INTENTS) == snapshot

    key = layout.snapshot("support", DatasetName.parse(snapshot.name).digest)
    (tmp_path / "old").write_bytes(seal(snapshot.model_dump_json(exclude={"cleaning"}).encode()))
    objects.put(key, tmp_path / "old")
    assert datasets.snapshot(DatasetName("support")) == snapshot.model_copy(update={"cleaning": ()})


def test_a_bare_name_is_the_last_import(datasets: DatasetStore) -> None:
    """A bare name means the snapshot imported last, also when that is an older state again; each stays under its digest."""
    old = datasets.save("support", "classification", INTENTS)
    new = datasets.save("support", "classification", {"train": INTENTS["train"][:2]})
    assert datasets.snapshot(DatasetName("support")) == new
    datasets.save("support", "classification", INTENTS)
    assert datasets.snapshot(DatasetName("support")) == old
    assert datasets.snapshot(DatasetName.parse(new.name)) == new


def test_unknown_datasets(datasets: DatasetStore) -> None:
    """An unknown name and an unknown digest are NOT_FOUND."""
    datasets.save("support", "classification", INTENTS)
    assert datasets.names() == ["support"]
    for name in (DatasetName("other"), DatasetName("support", "0" * 64)):
        with pytest.raises(DatasetNotFoundError) as caught:
            datasets.snapshot(name)
        assert caught.value.metadata == {"dataset": str(name)}
    with pytest.raises(NameMalformedError):
        datasets.save("../support", "classification", INTENTS)


def test_racing_imports_of_the_same_rows(datasets: DatasetStore) -> None:
    """Eight imports of the same rows at once give one snapshot."""
    outcomes = race(8, lambda _: datasets.save("support", "classification", INTENTS))
    assert outcomes == [outcomes[0]] * 8
    assert isinstance(outcomes[0], Snapshot)
    assert datasets.snapshot(DatasetName("support")) == outcomes[0]


def test_racing_imports_of_other_rows(datasets: DatasetStore) -> None:
    """Of eight different imports at once each is kept, and the bare name means one of them."""
    rows = [{"train": [Row(str(number), label="a")]} for number in range(8)]
    outcomes = race(8, lambda number: datasets.save("support", "classification", rows[number]))
    for number, outcome in enumerate(outcomes):
        assert isinstance(outcome, Snapshot)
        assert datasets.rows(outcome, "train") == [Row(str(number), label="a", split="train")]
    assert datasets.snapshot(DatasetName("support")) in outcomes


def test_a_snapshot_knows_when_its_rows_came_last(datasets: DatasetStore) -> None:
    """The first import is the last one until the same rows come again; the summary stays what it was."""
    first = datasets.save("support", "classification", INTENTS)
    assert datasets.import_time(first) == first.create_time
    times = []
    for _ in range(2):
        assert datasets.save("support", "classification", INTENTS) == first
        times.append(datasets.import_time(first))
    assert first.create_time < times[0] < times[1]
    assert datasets.delete(DatasetName("support")) == [first.name]
    again = datasets.save("support", "classification", INTENTS)
    assert datasets.import_time(again) == again.create_time > times[1]


def test_damaged_rows_are_reported_and_mended(
    datasets: DatasetStore, objects: ObjectStore, tmp_path: Path
) -> None:
    """Rows that are not those that were saved are DATA_LOSS with their key; importing them again mends them."""
    snapshot = datasets.save("support", "classification", INTENTS)
    key = layout.split_rows("support", DatasetName.parse(snapshot.name).digest, "train")
    (tmp_path / "damaged").write_bytes(objects.read(key).replace(b'"card"', b'"cash"'))
    objects.put(key, tmp_path / "damaged")
    with pytest.raises(ArtifactCorruptError) as caught:
        datasets.rows(snapshot, "train")
    assert caught.value.metadata["key"] == key
    assert caught.value.metadata["expected"] == snapshot.splits["train"].digest
    datasets.save("support", "classification", INTENTS)
    assert len(datasets.rows(snapshot, "train")) == 3


def test_a_damaged_summary_is_reported(datasets: DatasetStore, objects: ObjectStore, tmp_path: Path) -> None:
    """A summary that names other rows than its key's digest covers is DATA_LOSS."""
    snapshot = datasets.save("support", "classification", INTENTS)
    key = layout.snapshot("support", DatasetName.parse(snapshot.name).digest)
    other = SplitSummary(digest="0" * 64, row_count=1, label_counts={"card": 1})
    tampered = snapshot.model_copy(update={"splits": {**snapshot.splits, "train": other}})
    (tmp_path / "damaged").write_bytes(seal(tampered.model_dump_json().encode()))
    objects.put(key, tmp_path / "damaged")
    with pytest.raises(ArtifactCorruptError) as caught:
        datasets.snapshot(DatasetName.parse(snapshot.name))
    assert caught.value.metadata["key"] == key


@pytest.mark.parametrize("record", ["summary", "latest"])
def test_importing_again_mends_a_damaged_record(
    datasets: DatasetStore, objects: ObjectStore, tmp_path: Path, record: str
) -> None:
    """A summary, or the record of what the bare name means, that cannot be read is made good by the same rows."""
    snapshot = datasets.save("support", "classification", INTENTS)
    digest = DatasetName.parse(snapshot.name).digest
    key = (
        layout.snapshot("support", digest)
        if record == "summary"
        else f"{layout.latest('support')}/00000001.json"
    )
    (tmp_path / "damaged").write_bytes(objects.read(key)[:-9])
    objects.put(key, tmp_path / "damaged")
    with pytest.raises(ArtifactCorruptError):
        datasets.snapshot(DatasetName("support"))
    datasets.save("support", "classification", INTENTS)
    assert datasets.snapshot(DatasetName("support")).splits == snapshot.splits


def test_no_snapshot_before_its_rows(datasets: DatasetStore, objects: ObjectStore) -> None:
    """Rows without a summary, as a crash leaves them, are no snapshot and no dataset."""
    objects.create(layout.split_rows("support", "0" * 64, "train"), b'{"text":"a","label":"b"}\n')
    assert datasets.names() == []
    with pytest.raises(DatasetNotFoundError):
        datasets.snapshot(DatasetName("support", "0" * 64))
