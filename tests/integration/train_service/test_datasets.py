"""Importing datasets over a real socket: good ones are stored once, bad ones leave nothing and say all that is wrong."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from shared.data.cleaning.steps import STEPS
from shared.names import DatasetName
from shared.rpc.status import read_status
from shared.store.datasets import DatasetStore
from shared.store.folder import FolderStore
from shared.stubs.training.v1 import training_pb2 as pb
from tests.integration.train_service.harness import CSV, Service, refused

Parts = Iterator[pb.ImportDatasetRequest]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that may read files below `allowed`, a link to `real`, and takes 64 KiB an import."""
    folder = tmp_path_factory.mktemp("datasets")
    (folder / "real" / "deep").mkdir(parents=True)
    (folder / "real" / "deep" / "rows.csv").write_bytes(CSV)
    (folder / "allowed").symlink_to(folder / "real")
    (folder / "secret.csv").write_bytes(CSV)
    (folder / "real" / "out").symlink_to(folder)
    (folder / "real" / "link.csv").symlink_to(folder / "secret.csv")
    (folder / "real" / "inside.csv").symlink_to(folder / "real" / "deep" / "rows.csv")
    os.mkfifo(folder / "real" / "pipe.csv")
    (folder / "real" / "big.csv").write_bytes(CSV * 400)
    own = Service(folder)
    try:
        own.start(dataset_roots=f"{folder / 'allowed'}:{folder / 'absent'}", max_dataset_bytes="65536")
        yield own
    finally:
        own.close()


def header(
    dataset: str = "rows", *, file_name: str = "train.csv", **fields: object
) -> pb.ImportDatasetRequest:
    """A header of a classification file."""
    fields = {"task": pb.CLASSIFICATION} | fields
    return pb.ImportDatasetRequest(
        header=pb.ImportFileHeader(dataset=dataset, file_name=file_name, **fields)  # type: ignore[arg-type]
    )


def chunk(data: bytes) -> pb.ImportDatasetRequest:
    """Bytes of the open file."""
    return pb.ImportDatasetRequest(chunk=data)


def listed(service: Service) -> dict[str, pb.Dataset]:
    """Every dataset by its bare name."""
    datasets = service.training.ListDatasets(pb.ListDatasetsRequest()).datasets
    return {each.name.partition("@")[0]: each for each in datasets}


def send(service: Service, *parts: pb.ImportDatasetRequest) -> pb.Dataset:
    """Import."""
    return service.training.ImportDataset(iter(parts))


def without_findings(dataset: pb.Dataset) -> pb.Dataset:
    """What a list tells of it: the rest is told to whom imports."""
    summary = pb.Dataset()
    summary.CopyFrom(dataset)
    summary.ClearField("findings")
    summary.ClearField("cleaning_reports")
    return summary


def test_a_dataset_is_stored_and_listed(service: Service) -> None:
    """A good import answers with name, splits, labels and counts, and is listed."""
    dataset = service.import_csv(dataset="good")
    name, _, digest = dataset.name.partition("@sha256:")
    assert (name, len(digest)) == ("good", 64)
    assert [(each.split, each.row_count) for each in dataset.splits] == [
        (pb.TRAIN, 4),
        (pb.VALIDATION, 2),
        (pb.TEST, 2),
    ]
    assert list(dataset.labels) == ["billing", "delivery"]
    assert dict(dataset.splits[0].label_counts) == {"billing": 2, "delivery": 2}
    assert listed(service)["good"] == without_findings(dataset)


def test_an_import_tells_what_is_doubtful_with_lines_of_the_file(service: Service) -> None:
    """Eight good rows are few: kinds, counts and places come over the wire."""
    found = {finding.kind: finding for finding in service.import_csv(dataset="doubtful").findings}
    assert found[pb.Finding.SMALL_VALIDATION].count == 2
    assert found[pb.Finding.RARE_LABEL].count == 2
    assert [place.partition(":")[2] for place in found[pb.Finding.RARE_LABEL].places] == ["2", "3", "6", "7"]


def test_the_same_rows_are_stored_once(service: Service) -> None:
    """Importing the same rows again, cut into other chunks, returns the snapshot that is there."""
    first = service.import_csv(dataset="twice")
    again = send(service, header("twice"), *(chunk(CSV[n : n + 7]) for n in range(0, len(CSV), 7)))
    assert without_findings(again) == without_findings(first)


def test_several_files_make_one_dataset(service: Service) -> None:
    """Each file of a call has its own split and format."""
    train = b'{"text": "my card", "label": "a"}\n{"text": "my parcel", "label": "b"}\n'
    dataset = send(
        service,
        header("files", file_name="train.jsonl", split=pb.TRAIN),
        chunk(train),
        header("files", file_name="check.csv", split=pb.VALIDATION),
        chunk(b"text,label\nthe card,a\n"),
    )
    assert [(each.split, each.row_count) for each in dataset.splits] == [(pb.TRAIN, 2), (pb.VALIDATION, 1)]


ENTITIES = {"task": pb.ENTITIES, "file_name": "train.jsonl"}
BAD_FILES = {
    "an empty file": ({}, b"", "train.csv", "is empty"),
    "a broken CSV row": ({}, CSV + b"only one cell\n", "train.csv:10", "has 1 cell"),
    "a missing column": ({}, b"text,intent\na,b\n", "train.csv:1", "no column `label`"),
    "an overlapping span": (
        ENTITIES,
        b'{"text": "Ada Lovelace", "entities": [{"start": 0, "end": 12, "label": "p"}, {"start": 4, "end": 12, "label": "p"}]}\n',
        "train.jsonl:1",
        "overlaps",
    ),
    "a span outside of its text": (
        ENTITIES,
        b'{"text": "Ada", "entities": [{"start": 0, "end": 9, "label": "p"}]}\n',
        "train.jsonl:1",
        "outside of the text",
    ),
    "one class only": ({}, b"text,label,split\na,x,train\nb,x,validation\n", "train", "one label"),
    "an unknown label in validation": (
        {},
        b"text,label,split\na,x,train\nb,y,train\nc,z,validation\n",
        "train.csv:4",
        "(1x in validation) never occurs in train",
    ),
    "an empty text": ({}, b"text,label\n ,x\n", "train.csv:2", "text is empty"),
    "an unknown format": ({"file_name": "train.xlsx"}, b"PK", "train.xlsx", "is none of .jsonl, .csv"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_with_its_place(service: Service, case: str) -> None:
    """A file that cannot be used answers DATASET_INVALID with file, line and cause, and nothing is stored."""
    fields, data, field, words = BAD_FILES[case]
    with refused("INVALID_ARGUMENT", "DATASET_INVALID") as refusal:
        send(service, header("bad", **fields), chunk(data))
    [problem] = refusal.why.problems
    assert problem.field == field
    assert words in problem.description
    assert refusal.why.metadata["file"] == field.partition(":")[0]
    assert "bad" not in listed(service)


def test_problems_of_all_files_come_at_once(service: Service) -> None:
    """One answer names the problems of every file, at most 100 of them, and their whole number."""
    with refused("INVALID_ARGUMENT", "DATASET_INVALID") as refusal:
        send(
            service,
            header("bad", file_name="one.csv"),
            chunk(b"text,label\n" + b" ,x\n" * 150),
            header("bad", file_name="two.csv"),
            chunk(b""),
        )
    assert len(refusal.why.problems) == 100
    assert refusal.why.metadata["problem_count"] == "151"
    assert (refusal.why.metadata["file"], refusal.why.metadata["line"]) == ("one.csv", "2")


BAD_STREAMS: dict[str, tuple[tuple[pb.ImportDatasetRequest, ...], str]] = {
    "nothing": ((), "header"),
    "a chunk before the header": ((chunk(b"x"), header()), "chunk"),
    "an empty message": ((header(), pb.ImportDatasetRequest()), "part"),
    "headers of two datasets": ((header("one"), chunk(CSV), header("two")), "header"),
    "headers of two tasks": ((header(), chunk(CSV), header(task=pb.ENTITIES)), "header"),
    "no task": ((header(task=pb.TASK_UNSPECIFIED),), "header.task"),
    "an unknown cleaning step": ((header(cleaning=["nfc", "wash"]),), "header.cleaning"),
    "headers of other cleaning steps": (
        (header(cleaning=["nfc"]), chunk(CSV), header(cleaning=["nfc", "drop-leaks"])),
        "header",
    ),
    "no file name": ((header(file_name=""),), "header.file_name"),
    "a chunk over 1 MiB": ((header(), chunk(b"x" * (1024 * 1024 + 1))), "chunk"),
    "more bytes than the limit": ((header(), *(chunk(b"x" * 40_000),) * 2), "chunk"),
}


@pytest.mark.parametrize("case", BAD_STREAMS)
def test_a_bad_stream_is_refused(service: Service, case: str) -> None:
    """A stream that breaks the rules of an import answers FIELD_INVALID with the field."""
    parts, field = BAD_STREAMS[case]
    with refused("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        send(service, *parts)
    assert refusal.why.metadata["field"] == field


@pytest.mark.parametrize("file_name", ["train.csv", "train.jsonl"])
def test_a_text_of_a_megabyte_is_refused_with_its_line(own_service: Service, file_name: str) -> None:
    """A text over the limit answers DATASET_INVALID with its line and both numbers, and nothing is stored; one at the limit is kept whole."""

    def rows(code_points: int) -> bytes:
        texts = {"short": "a", "x" * code_points: "b"}
        if file_name.endswith(".csv"):
            lines = ["text,label,split", *(f"{text},{label},train" for text, label in texts.items())]
            return "\n".join([*lines, "v,a,validation\n"]).encode()
        records = [{"text": text, "label": label, "split": "train"} for text, label in texts.items()]
        return b"".join(
            json.dumps(each).encode() + b"\n"
            for each in (*records, {"text": "v", "label": "a", "split": "validation"})
        )

    def chunks(data: bytes) -> list[pb.ImportDatasetRequest]:
        return [chunk(data[start : start + 1_000_000]) for start in range(0, len(data), 1_000_000)]

    with refused("INVALID_ARGUMENT", "DATASET_INVALID") as refusal:
        send(own_service, header("long", file_name=file_name), *chunks(rows(1024 * 1024)))
    [problem] = refusal.why.problems
    assert problem.field == f"{file_name}:{3 if file_name.endswith('.csv') else 2}"
    assert "code points" in problem.description
    assert "xxx" not in problem.description
    assert "long" not in listed(own_service)

    name = send(own_service, header("long", file_name=file_name), *chunks(rows(100_000))).name
    store = DatasetStore(FolderStore(own_service.folder / "store"))
    stored = store.rows(store.snapshot(DatasetName.parse(name)), "train")
    assert [len(row.text) for row in stored] == [5, 100_000]


DIRTY = [
    ("to <b>Lisbon</b> &amp; back", "Lisbon", "city", "train"),  # line 1
    ("to  Porto now", "Porto ", "city", "train"),  # white space in the span: refused unless it is cleaned
    ("via Faro\x00 soon", "aro\x00", "city", "train"),  # shifted by one
    ("via faro soon!", "faro", "City", "train"),  # the line before, and a label of its own
    ("from Cafe\u0301 Bar", "Cafe\u0301 Bar", "place", "train"),
    ("to Lisbon & back", "Lisbon", "city", "validation"),  # leaks
    ("Café Bar at ten", "Café Bar", "place", "validation"),
]


def dirty_rows() -> bytes:
    """Rows of entities, each with a fault."""
    spans = [(text, text.index(marked), len(marked), label, split) for text, marked, label, split in DIRTY]
    records = [
        {"text": text, "entities": [[start, start + length, label]], "split": split}
        for text, start, length, label, split in spans
    ]
    return b"".join(json.dumps(each).encode() + b"\n" for each in records)


def test_an_import_cleans_rows_and_tells_what_it_did(service: Service) -> None:
    """Steps run in their own order before the check, each is reported with lines of the file, and the snapshot remembers them."""
    with refused("INVALID_ARGUMENT", "DATASET_INVALID") as refusal:
        send(service, header("dirty", **ENTITIES), chunk(dirty_rows()))
    assert [problem.field for problem in refusal.why.problems] == ["train.jsonl:2"]
    assert "trim-spans" in refusal.why.problems[0].description

    asked = ENTITIES | {"cleaning": [*reversed(STEPS), "nfc"]}
    dataset = send(service, header("dirty", **asked), chunk(dirty_rows()))
    reports = {
        each.step: (
            each.changed_count,
            each.dropped_count,
            [place.partition(":")[2] for place in each.places],
        )
        for each in dataset.cleaning_reports
    }
    assert list(reports) == list(STEPS)
    assert reports == {
        "drop-control-characters": (1, 0, ["3"]),
        "unescape-html": (1, 0, ["1"]),
        "nfc": (1, 0, ["5"]),
        "collapse-white-space": (1, 0, ["2"]),
        "trim-spans": (1, 0, ["2"]),
        "snap-spans": (1, 0, ["3"]),
        "trim-labels": (0, 0, []),
        "merge-labels": (1, 0, ["4"]),
        "drop-duplicates": (0, 1, ["4"]),
        "drop-leaks": (0, 1, ["1"]),
    }
    assert list(listed(service)["dirty"].cleaning) == list(STEPS)

    store = DatasetStore(FolderStore(service.folder / "store"))
    stored = store.rows(store.snapshot(DatasetName.parse(dataset.name)), "train")
    assert [
        (row.text, *(row.text[span.start : span.end] for span in row.entities or ())) for row in stored
    ] == [
        ("to Porto now", "Porto"),
        ("via Faro soon", "Faro"),
        ("from Café Bar", "Café Bar"),
    ]


def test_a_dataset_that_is_cleaned_twice_is_the_same_snapshot(service: Service) -> None:
    """Its rows, exported and imported with the same steps, come out as they are."""
    asked = ENTITIES | {"cleaning": STEPS}
    first = send(service, header("again", **asked), chunk(dirty_rows()))
    store = DatasetStore(FolderStore(service.folder / "store"))
    snapshot = store.snapshot(DatasetName.parse(first.name))
    records = [
        {
            "text": row.text,
            "entities": [[s.start, s.end, s.label] for s in row.entities or ()],
            "split": split,
        }
        for split in snapshot.splits
        for row in store.rows(snapshot, split)
    ]
    exported = "\n".join(map(json.dumps, records)).encode()
    second = send(service, header("again", **asked), chunk(exported))
    assert without_findings(second) == without_findings(first)
    assert {(each.changed_count, each.dropped_count) for each in second.cleaning_reports} == {(0, 0)}
    assert without_findings(send(service, header("again", **ENTITIES), chunk(exported))) == without_findings(
        first
    )


def test_a_span_that_cleaning_would_cut_is_refused_with_its_line(service: Service) -> None:
    """Nothing is dropped in silence, and nothing is stored."""
    row = {"text": "a &amp; b", "entities": [[2, 4, "x"]]}
    with refused("INVALID_ARGUMENT", "DATASET_INVALID") as refusal:
        send(service, header("cut", **ENTITIES, cleaning=["unescape-html"]), chunk(json.dumps(row).encode()))
    [problem] = refusal.why.problems
    assert problem.field == "train.jsonl:1"
    assert "cleaning step unescape-html" in problem.description
    assert "cut" not in listed(service)


def test_a_refusal_names_the_cleaning_steps_that_there_are(service: Service) -> None:
    """So that nobody has to look them up."""
    with refused("INVALID_ARGUMENT", "FIELD_INVALID") as refusal:
        send(service, header(cleaning=["wash"]), chunk(CSV))
    assert all(step in refusal.why.message for step in STEPS)
    assert refusal.why.metadata["value"] == "'wash'"


def test_a_malformed_dataset_name_is_refused(service: Service) -> None:
    """A dataset's name has the form of all names."""
    with refused("INVALID_ARGUMENT", "NAME_MALFORMED"):
        send(service, header("Bad Name"), chunk(CSV))


@pytest.mark.parametrize("path", ["allowed/deep/rows.csv", "real/deep/rows.csv", "allowed/inside.csv"])
def test_a_file_below_a_root_is_read(service: Service, path: str) -> None:
    """A server path that ends below a root, by whatever links, is read in place of chunks."""
    dataset = send(service, header("served", server_path=str(service.folder / path)))
    assert [each.row_count for each in dataset.splits] == [4, 2, 2]


@pytest.mark.parametrize(
    "path",
    [
        "secret.csv",
        "allowed/../secret.csv",
        "allowed/link.csv",
        "allowed/out/secret.csv",
        "no-such-file.csv",
        "allowed/deep/../../../../etc/hostname",
        "allowed-not/rows.csv",
        "nul\0.csv",
    ],
)
def test_a_path_outside_the_roots_is_refused(service: Service, path: str) -> None:
    """What lies outside the roots, by `..` or by a symlink, is PERMISSION_DENIED, whether it exists or not."""
    with refused("PERMISSION_DENIED", "PATH_NOT_ALLOWED") as refusal:
        send(service, header("served", server_path=f"{service.folder}/{path}"))
    assert refusal.why.metadata["field"] == "header.server_path"
    assert str(service.folder) not in refusal.why.message


@pytest.mark.parametrize("path", ["allowed/absent.csv", "allowed/deep", "allowed/pipe.csv"])
def test_what_is_no_file_is_told(service: Service, path: str) -> None:
    """An absent file, a folder and a pipe below a root answer FIELD_INVALID at once."""
    with refused("INVALID_ARGUMENT", "FIELD_INVALID"):
        send(service, header("served", server_path=str(service.folder / path)))


def test_a_server_file_takes_no_chunks_and_has_the_same_limit(service: Service) -> None:
    """A chunk after a server path is refused, and so is a server file over the limit."""
    good = str(service.folder / "allowed" / "deep" / "rows.csv")
    with refused("INVALID_ARGUMENT", "FIELD_INVALID"):
        send(service, header("served", server_path=good), chunk(CSV))
    with refused("INVALID_ARGUMENT", "FIELD_INVALID"):
        send(service, header("served", server_path=str(service.folder / "allowed" / "big.csv")))


def test_no_spooled_file_is_left(service: Service) -> None:
    """After all these imports, and one that its caller broke off, the spool folder is empty."""

    def endless() -> Parts:
        yield header("broken-off")
        yield chunk(CSV)
        raise RuntimeError("the caller dies")

    with pytest.raises((grpc.RpcError, RuntimeError)):
        service.training.ImportDataset(endless())
    assert list(Path(service.state_dir / "imports").iterdir()) == []
    assert "broken-off" not in listed(service)


def test_datasets_are_listed_in_pages(service: Service) -> None:
    """Pages of datasets are by name and hold each once."""
    for name in ("page-a", "page-b", "page-c"):
        service.import_csv(dataset=name)
    names: list[str] = []
    token = ""
    while True:
        page = service.training.ListDatasets(pb.ListDatasetsRequest(page_size=2, page_token=token))
        assert len(page.datasets) <= 2
        names += [each.name.partition("@")[0] for each in page.datasets]
        token = page.next_page_token
        if not token:
            break
    assert names == sorted(listed(service))


def test_a_damaged_dataset_hides_no_other(own_service: Service) -> None:
    """The list tells of what cannot be read in its place, and importing it again mends it."""
    for name in ("broken", "whole"):
        send(own_service, header(name), chunk(CSV))
    [record] = (own_service.folder / "store" / "datasets" / "broken" / "latest").glob("*.json")
    record.chmod(0o644)
    record.write_bytes(b"?")
    found = {
        each.name.partition("@")[0]: each
        for each in own_service.training.ListDatasets(pb.ListDatasetsRequest()).datasets
    }
    assert read_status(found["broken"].error).reason == "ARTIFACT_CORRUPT"
    assert not found["whole"].HasField("error")
    send(own_service, header("broken"), chunk(CSV))
    assert "broken" in listed(own_service)
