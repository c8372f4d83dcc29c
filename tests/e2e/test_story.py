"""The whole path, by the commands that a user types."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Run, Up
from tests.e2e.datasets import LABELS, intents_file, mentions_file, topic_sets_file
from tests.tiny import TOPICS, name_label, topic_label

# The tiny base knows nothing, so it has to learn fast.
QUICK = ("--max-epochs", "3", "--batch-size", "8", "--dropout", "0")
FAST = ("--encoder-learning-rate", "0.005", "--head-learning-rate", "0.02")


def ok(run: Run) -> Run:
    assert run.code == 0, run.err + run.out
    return run


def record(run: Run) -> dict:
    """The one JSON document that a command printed."""
    ok(run)
    assert run.err == ""
    return json.loads(run.out)


def records(run: Run) -> list[dict]:
    """The JSON documents that a command printed, one a line."""
    return [json.loads(line) for line in ok(run).out.splitlines()]


@pytest.fixture(scope="module")
def intents(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset `intents`, and a model `intents` with one version, promoted."""
    file = intents_file(tmp_path_factory.mktemp("story"))
    imported = record(up.tagsmith("data", "import", "intents", file, "--task", "classification", "--json"))
    assert imported["labels"] == LABELS
    assert sum(split["row_count"] for split in imported["splits"].values()) == 135
    run = ok(up.tagsmith("train", "intents", "intents", *QUICK, *FAST, "--promote", "production"))
    assert "intents@1 published" in run.out
    assert "TRAINING" in run.err
    return file


def served(up: Up, text: str = "where is my parcel") -> str:
    return records(up.tagsmith("classify", "intents", text, "--json"))[0]["model_version"]


def wait_served(up: Up, version: str) -> None:
    give_up = time.monotonic() + 15
    while served(up) != version:
        assert time.monotonic() < give_up, f"{version} is not served"


def test_retrain_promote_and_roll_back(up: Up, intents: Path) -> None:
    """A second version takes over when it is promoted, and the first one comes back by `rollback`, under the same name."""
    assert served(up) == "intents@1"

    job = record(up.tagsmith("train", "intents", "intents", *QUICK, *FAST, "--seed", "5", "--json"))
    assert (job["state"], job["model_version"]) == ("SUCCEEDED", "intents@2")
    assert served(up) == "intents@1"  # nothing moved

    moved = record(up.tagsmith("promote", "intents@2", "--expect", "1", "--reason", "better", "--json"))
    assert (moved["version"], moved["previous_version"], moved["reason"]) == (2, 1, "better")
    wait_served(up, "intents@2")

    lost = up.tagsmith("promote", "intents@1", "--expect", "1", "--json")
    assert lost.code == 1
    assert json.loads(lost.err)["error"]["reason"] == "ALIAS_CONFLICT"

    back = record(up.tagsmith("rollback", "intents", "--json"))
    assert (back["version"], back["previous_version"]) == (1, 2)
    wait_served(up, "intents@1")

    again = up.tagsmith("rollback", "intents")
    assert again.code == 1
    assert "intents@production is back at its first version, intents@1" in again.err


def metrics_on_test(version: dict[str, Any]) -> list[dict[str, float]]:
    """The metrics of the test split of each variant: which one is served is the processor's to say."""
    return [
        {
            name.removeprefix("test."): pytest.approx(
                value, abs=1e-3
            )  # a calibration error is of scores, which round
            for name, value in variant["metrics"].items()
            if name.startswith("test.")
        }
        for variant in version["variants"].values()
    ]


def test_versions_and_metrics_are_shown(up: Up, intents: Path) -> None:
    """`models` shows every version with its metrics, the split they are of and how many rows that has."""
    everything = record(up.tagsmith("models", "--json"))["models"]
    assert {"name": "intents", "aliases": {"production": 1}}.items() <= {
        key: value
        for key, value in next(m for m in everything if m["name"] == "intents").items()
        if key != "latest_version"
    }.items()
    version = record(up.tagsmith("models", "intents@1", "--json"))
    assert version["row_counts"].keys() == {"validation", "test"}
    assert set(version["metrics"]) == {
        "validation.accuracy",
        "validation.macro_f1",
        "validation.calibration_error",
        "validation.calibration_error_before",
        "test.accuracy",
        "test.macro_f1",
        "test.calibration_error",
        "test.calibration_error_before",
    }
    assert all(check["passed"] for check in version["gate_checks"])
    people = ok(up.tagsmith("models", "intents@1")).out
    assert f"{version['metrics']['test.accuracy']:.4f}" in people


def test_eval_repeats_the_manifests_metrics(up: Up, intents: Path) -> None:
    """What `eval` measures over the RPCs on the test split is what the version's manifest says of it."""
    scores = record(up.tagsmith("eval", "intents@1", intents, "--split", "test", "--json"))
    version = record(up.tagsmith("models", "intents@1", "--json"))

    assert scores["model_version"] == "intents@1"
    assert scores["row_count"] == version["row_counts"]["test"]
    assert scores["metrics"]["accuracy"] > 0.9
    assert any(each.items() >= scores["metrics"].items() for each in metrics_on_test(version))
    assert "accuracy" in ok(up.tagsmith("eval", "intents@1", intents)).out


def test_an_extractor_from_data_to_spans(up: Up, tmp_path: Path) -> None:
    """Entities come back as slices of the text that was sent, and `eval` scores them as the manifest does."""
    file = mentions_file(tmp_path)
    ok(up.tagsmith("data", "import", "mentions", file, "--task", "entities"))
    ok(up.tagsmith("train", "mentions", "mentions", *QUICK, *FAST, "--promote", "production"))

    text = "é😀 we met Ada Lovelace!"
    (answer,) = records(up.tagsmith("extract", "mentions", text, "--json"))
    assert answer["model_version"] == "mentions@1"
    (found,) = answer["entities"]
    assert found.pop("score") > 0.5
    assert found == {"start": 10, "end": 22, "label": name_label("ada"), "surface": text[10:22]}

    scores = record(up.tagsmith("eval", "mentions", file, "--split", "test", "--json"))
    version = record(up.tagsmith("models", "mentions@1", "--json"))
    assert scores["metrics"]["span_f1"] > 0.9
    assert any(each.items() >= scores["metrics"].items() for each in metrics_on_test(version))
    assert ok(up.tagsmith("extract", "mentions", text)).out.startswith("mentions@1")


def test_a_text_may_have_several_labels(up: Up, tmp_path: Path) -> None:
    """Label sets go from a file to a served version, whose thresholds say which labels are given; `eval` repeats its metrics."""
    file = topic_sets_file(tmp_path)
    imported = record(up.tagsmith("data", "import", "topics", file, "--task", "multi-label", "--json"))
    assert imported["labels"] == LABELS
    run = ok(up.tagsmith("train", "topics", "topics", *QUICK, *FAST, "--promote", "production"))
    assert "micro_f1" in run.out
    text = f"please help with my {TOPICS[0]} and the {TOPICS[-1]}"
    (answer,) = records(up.tagsmith("classify", "topics", text, "--json"))
    assert {each["label"] for each in answer["labels"]} == set(LABELS)
    given = {each["label"] for each in answer["labels"] if each["is_given"]}
    assert given == {topic_label(TOPICS[0]), topic_label(TOPICS[-1])}
    scores = record(up.tagsmith("eval", "topics", file, "--split", "test", "--json"))
    version = record(up.tagsmith("models", "topics@1", "--json"))
    assert any(each.items() >= scores["metrics"].items() for each in metrics_on_test(version))


def test_a_network_is_trained_from_scratch(up: Up, intents: Path) -> None:
    """The RNN takes no base; its version is served like any other, and says that it stands on nothing."""
    del intents
    shape = ("--cell", "lstm", "--width", "32", "--embedding-width", "32")
    knobs = (*shape, "--max-epochs", "12", "--batch-size", "8", "--dropout", "0", *FAST)
    ok(up.tagsmith("train", "small", "intents", "--recipe", "rnn-classifier", *knobs))
    version = record(up.tagsmith("models", "small@1", "--json"))
    assert (version["base_model"], version["state"]) == ("", "PUBLISHED")
    assert version["metrics"]["test.accuracy"] > 0.9
    (answer,) = records(up.tagsmith("classify", "small@1", f"my {TOPICS[0]} please", "--json"))
    assert answer["labels"][0]["label"] == topic_label(TOPICS[0])
    refused = up.tagsmith("train", "small", "intents", "--recipe", "rnn-classifier", "--frozen")
    assert (refused.code, "spec.adaptable" in refused.err) == (1, True)


def test_stdin_is_read_a_text_a_line(up: Up, intents: Path) -> None:
    """`-` answers every line in its place; a blank one has its own error and makes the exit code 1."""
    lines = "where is my parcel\r\n\nmy card ü 😀\n" + "help\n" * 100
    run = up.tagsmith("classify", "intents", "-", "--top-k", "1", "--json", stdin=lines.encode())

    answers = [json.loads(line) for line in run.out.splitlines()]
    assert run.code == 1
    assert [answer["text"] for answer in answers[:3]] == ["where is my parcel", "", "my card ü 😀"]
    assert len(answers) == 103
    assert answers[0]["labels"][0]["label"] == topic_label("parcel")
    assert answers[1]["error"]["reason"] == "TEXT_EMPTY"
    assert all(len(answer["labels"]) == 1 for answer in answers if "labels" in answer)


def test_a_cancelled_job_ends_and_watch_says_so(up: Up, intents: Path) -> None:
    """A detached job is cancelled; watching it ends with exit code 1 and its last state."""
    job = record(
        up.tagsmith(
            "train", "intents", "intents", "--max-epochs", "1000", "--patience", "1000", "--detach", "--json"
        )
    )
    assert record(up.tagsmith("cancel", job["id"], "--json"))["cancel_requested"]

    run = up.tagsmith("watch", job["id"], "--json")
    assert run.code == 1
    assert json.loads(run.out.splitlines()[-1])["state"] == "CANCELLED"
    assert "error" in json.loads(run.err)
    listed = record(up.tagsmith("jobs", "--model", "intents", "--limit", "1", "--json"))["jobs"]
    assert [(each["id"], each["state"]) for each in listed] == [(job["id"], "CANCELLED")]


def test_a_version_is_told_of_and_taken_to_the_hub(up: Up, intents: Path, tmp_path: Path) -> None:
    """`report` writes what the registry knows of a version, `export` its folder from the store; no text of the dataset is in either."""
    card, page, folder = tmp_path / "card.md", tmp_path / "report.html", tmp_path / "hub"
    told = record(up.tagsmith("report", "intents@1", "--card", card, "--html", page, "--json"))
    assert told == {"model_version": "intents@1", "card": str(card), "html": str(page)}
    taken = record(
        up.tagsmith("export", "intents@1", "--hub", folder, "--store", up.folder / "store", "--json")
    )
    assert sorted(taken["files"]) == sorted(path.name for path in folder.iterdir())
    texts = [json.loads(line)["text"] for line in intents.read_text("utf-8").splitlines()]
    written = [path.read_text("utf-8") for path in (card, page, folder / "README.md")]
    assert all("intents@1" in text and all(label in text for label in LABELS) for text in written)
    assert not [text for text in texts if any(text in each for each in written)]


def test_a_job_is_planned_searched_gated_and_compared(up: Up, intents: Path, tmp_path: Path) -> None:
    """The plan costs what training would take and trains nothing; a search publishes its winner through a gate; both versions stand beside each other, by slice too."""
    plan = record(
        up.tagsmith(
            "train", "planned", "intents", *QUICK, "--plan", "--suspects", "--learning-curve", "--json"
        )
    )
    assert plan["cost"]["total_steps"] > 0
    assert plan["texts"]["row_count"] == 135
    assert len(plan["suspects"]) <= 14
    half, whole = (each["row_count"] for each in plan["learning_curve"]["points"][-2:])
    assert half == round(whole / 2)
    assert plan["learning_curve"]["train_row_count"] == whole
    assert "planned" not in [each["name"] for each in record(up.tagsmith("models", "--json"))["models"]]

    rows = [json.loads(line) for line in intents.read_text("utf-8").splitlines()]
    marked = tmp_path / "marked.jsonl"
    odd = {"text": "what is this", "label": "nothing"}
    lines = [{**row, "half": "ab"[i % 2]} for i, row in enumerate(rows)] + [
        {**odd, "text": f"{odd['text']} {i}"} for i in range(40)
    ]
    marked.write_text("\n".join(map(json.dumps, lines)))
    extras = ("--column", "half", "--out-of-scope", "nothing")
    ok(up.tagsmith("data", "import", "marked", marked, "--task", "classification", *extras))
    search = ("--frozen", "--max-epochs", "3", "--search-trials", "2", "--gate", "least_metric=0.01")
    ok(up.tagsmith("train", "marked", "marked", *search, "--promote", "production"))
    again = ok(
        up.tagsmith(
            "train",
            "marked",
            "marked",
            "--like",
            "marked@1",
            "--gate",
            "most_points_lost=100",
            "--promote",
            "production",
        )
    )
    assert "marked@2 published" in again.out

    compared = record(up.tagsmith("compare", "marked@1", "marked@2", "--json"))
    assert set(compared["splits"]) == {"validation", "test"}
    assert {each["name"] for each in compared["splits"]["test"]["slices"]} == {"half=a", "half=b"}
    assert "out_of_scope_recall" in {each["name"] for each in compared["splits"]["test"]["metrics"]}
    gates = record(up.tagsmith("models", "marked@2", "--json"))["quality_checks"]
    assert [(gate["name"], gate["passed"], gate["unit"]) for gate in gates] == [("champion", True, "points")]
    scores = record(up.tagsmith("eval", "marked@2", marked, *extras, "--json"))
    assert [each["value"] for each in scores["slices"]] == ["a", "b"]
    assert scores["unscored_columns"] == {}
    ok(up.tagsmith("data", "delete", "marked", "--yes"))
    assert "marked@sha256" not in ok(up.tagsmith("data", "list")).out
