"""What a user reads when something is wrong: one clear line, the listed problems, a remedy, never a traceback."""

import json
import os
import re
from pathlib import Path

import pytest

from shared.store.models import ModelStore
from shared.store.opening import open_store
from tests.e2e.conftest import Run, Up
from tests.e2e.datasets import intents_file
from tests.tiny import publish_tiny


def refused(run: Run, *words: str, code: int = 1) -> None:
    """The command failed, says these words on stderr, and shows nothing of its insides."""
    assert run.code == code, run.out + run.err
    assert run.out == ""
    assert "Traceback" not in run.err
    for word in words:
        assert word in run.err


def test_every_broken_row_is_named_and_nothing_is_stored(up: Up, tmp_path: Path) -> None:
    """A broken file is refused with each of its lines, and no dataset appears."""
    broken = tmp_path / "broken.csv"
    broken.write_text('text,label\nhello,greeting\n"never closed,greeting\nthree,cells,here\n,greeting\n')

    run = up.tagsmith("data", "import", "broken", broken, "--task", "classification")

    refused(run, "error: DATASET_INVALID", "nothing was stored")
    assert [line.split(": ")[0].strip() for line in run.err.splitlines()[1:]] == [
        "broken.csv:3",
        "broken.csv:4",
        "broken.csv:5",
    ]
    refused(up.tagsmith("train", "broken", "broken"), "error: DATASET_NOT_FOUND", "tagsmith data list")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "empty.csv: is empty"),
        ("column.csv", b"text,intent\nx,a\n", "column.csv:1: the header has no column `label`"),
        ("latin.csv", b"text,label\nd\xe9j\xe0,a\n", "latin.csv:2: is not UTF-8"),
        (
            "one.csv",
            b"text,label\n" + b"".join(b"t%d,a\n" % n for n in range(40)),
            "train: all rows have the one label 'a'",
        ),
    ],
)
def test_unusable_files_are_refused_in_clear_words(
    up: Up, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    """Each kind of unusable file has its own words."""
    file = tmp_path / name
    file.write_bytes(content)

    refused(
        up.tagsmith("data", "import", "unusable", file, "--task", "classification"),
        "error: DATASET_INVALID",
        words,
    )


def test_what_does_not_exist_is_named_with_a_remedy(up: Up) -> None:
    """An unknown model, version, job, dataset or base says which command lists what there is."""
    refused(up.tagsmith("classify", "nowhere", "x"), "error: MODEL_NOT_FOUND", "`tagsmith models`")
    refused(up.tagsmith("watch", "job-0123456789abcdef"), "error: JOB_NOT_FOUND", "`tagsmith jobs`")
    refused(up.tagsmith("models", "Not A Name@1"), "error: NAME_MALFORMED")
    refused(up.tagsmith("rollback", "nowhere"), "NOT_FOUND")


def test_a_spec_out_of_range_is_refused_before_anything_runs(up: Up, tmp_path: Path) -> None:
    """Every bad hyperparameter is named; no job is made."""
    assert (
        up.tagsmith("data", "import", "ranges", intents_file(tmp_path), "--task", "classification").code == 0
    )

    run = up.tagsmith("train", "ranges", "ranges", "--dropout", "1.5", "--batch-size", "0", "--json")

    refused(run)
    error = json.loads(run.err)["error"]
    assert error["reason"] == "SPEC_INVALID"
    assert {problem["field"].rpartition(".")[2] for problem in error["problems"]} == {"dropout", "batch_size"}
    assert up.tagsmith("jobs", "--model", "ranges").out.strip() == "no jobs yet"
    planned = up.tagsmith("train", "ranges", "ranges", "--validate-only")
    assert planned.out.startswith("this job would be accepted: ranges from ranges@sha256:")
    assert up.tagsmith("jobs", "--model", "ranges").out.strip() == "no jobs yet"


def test_a_service_that_is_not_there_is_said_in_one_line(up: Up) -> None:
    """No connection: one line that says what to start, and exit code 1."""
    run = up.tagsmith("--train-address", "127.0.0.1:1", "models")

    refused(run, "error: UNAVAILABLE", "Connection refused", "`tagsmith up`")
    assert run.err.count("\n") == 1


def test_wrong_use_has_exit_code_2(up: Up, tmp_path: Path) -> None:
    """Options and arguments that cannot be are told as such."""
    refused(up.tagsmith("train", "only-a-model"), "Missing argument", code=2)
    refused(up.tagsmith("promote", "intents"), "say which version", code=2)
    refused(
        up.tagsmith("data", "import", "x", tmp_path / "absent.csv", "--task", "entities"),
        "does not exist",
        code=2,
    )
    refused(up.tagsmith("data", "import", "x", "--task", "entities"), "name at least one file", code=2)


def test_texts_that_are_not_utf8_are_refused(up: Up) -> None:
    """Bytes that are no text never reach a service."""
    refused(up.tagsmith("classify", "intents", "-", stdin=b"fine\n\xff\n"), "text 2 is not UTF-8")
    refused(up.tagsmith("classify", "intents", os.fsdecode(b"\xff")), "text 1 is not UTF-8")


def test_damage_is_told_beside_what_is_whole(up: Up, tmp_path: Path) -> None:
    """A list names what cannot be read and why, on stderr for people and in its record for programs, and shows the rest."""
    models = ModelStore(open_store(str(up.folder / "store")))
    for seed in range(2):
        publish_tiny(models, "dented", "classification", scratch=tmp_path, seed=seed)
    manifest = up.folder / "store" / "models" / "dented" / "versions" / "0000001" / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_bytes(manifest.read_bytes()[:-9])

    shown = up.tagsmith("models", "dented")
    assert shown.code == 0
    assert re.search(r"dented@1 +UNREADABLE", shown.out)
    assert re.search(r"dented@2 +PUBLISHED", shown.out)
    assert "dented@1: models/dented/versions/0000001/manifest.json is damaged" in shown.err
    newest, oldest = json.loads(up.tagsmith("models", "dented", "--json").out)["versions"]
    assert (newest["error"], oldest["error"]["reason"]) == (None, "ARTIFACT_CORRUPT")


def test_an_import_says_what_is_doubtful(up: Up, tmp_path: Path) -> None:
    """Ten rows can be imported; that their validation split says little is said, and which line has a text of another split."""
    file = tmp_path / "few.csv"
    rows = [f"text number {n},{'ab'[n % 2]},{'validation' if n < 1 else 'train'}" for n in range(10)]
    file.write_text("\n".join(["text,label,split", *rows, "Text number 2!,a,validation"]))
    run = up.tagsmith("data", "import", "few", file, "--task", "classification")
    assert run.code == 0
    assert "caution: 2 validation rows" in run.err
    assert "caution: 'b': no row of validation has it" in run.err
    assert re.search(r"caution: the same text is in another split.*\(1x: few\.csv:12\)", run.err)
    findings = json.loads(
        up.tagsmith("data", "import", "few", file, "--task", "classification", "--json").out
    )["findings"]
    assert {"LEAK", "UNPROVED_LABEL", "SMALL_VALIDATION"} <= {each["kind"] for each in findings}


def test_an_import_cleans_what_it_is_told_to(up: Up, tmp_path: Path) -> None:
    """Each step says what it did; the leak of which the import would warn is gone, and an unknown step is refused with those that there are."""
    file = tmp_path / "leaky.csv"
    rows = [f"text number {n},{'ab'[n % 2]},{'validation' if n < 2 else 'train'}" for n in range(10)]
    file.write_text("\n".join(["text,label,split", *rows, "Text number 0!,a,train"]))
    steps = ("--clean", "drop-leaks", "--clean", "nfc")
    run = up.tagsmith("data", "import", "leaky", file, "--task", "classification", *steps)
    assert run.code == 0
    assert "cleaned: nfc had nothing to do\ncleaned: drop-leaks dropped 1 (leaky.csv:12)\n" in run.err
    assert "another split" not in run.err

    shown = up.tagsmith("data", "import", "leaky", file, "--task", "classification", *steps, "--json")
    record = json.loads(shown.out)
    assert record["cleaning"] == ["nfc", "drop-leaks"]
    assert record["cleaning_reports"][1] == {
        "step": "drop-leaks",
        "changed_count": 0,
        "dropped_count": 1,
        "places": ["leaky.csv:12"],
    }

    run = up.tagsmith("data", "import", "leaky", file, "--task", "classification", "--clean", "wash")
    assert run.code == 1
    assert "snap-spans" in run.err
