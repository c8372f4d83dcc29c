"""The program as a whole."""

import subprocess
import sys

import pytest
import typer.main
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from services.cli.answers import batches
from services.cli.app import app
from services.cli.demo import demonstrate
from services.cli.training_records import job_record, state_name
from shared.stubs.training.v1 import training_pb2 as pb


def commands(group=None, prefix=()):
    """Every command with its path of words."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*prefix, name))
        else:
            yield (*prefix, name), command


def test_the_commands_are_those_that_are_documented():
    """One word or two for everything that a user does."""
    assert {" ".join(path) for path, _ in commands()} == {
        "up", "data import", "data list", "data delete", "bases", "base add", "train", "retrain", "jobs", "watch",
        "events", "logs", "stop", "cancel",
        "models", "compare", "promote", "rollback", "classify", "extract", "eval", "report", "export",
    }  # fmt: skip


def test_every_command_but_up_speaks_json():
    """Scripts can use all of them."""
    speaks = {
        " ".join(path): any("--json" in each.opts for each in command.params) for path, command in commands()
    }

    assert [name for name, json in speaks.items() if not json] == ["up"]


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_every_command_and_option_is_explained(path):
    """`--help` works everywhere and every command says what it does."""
    run = CliRunner().invoke(app, [*path, "--help"])

    assert run.exit_code == 0
    assert dict(commands())[path].help


def test_the_command_starts_light():
    """No torch, no ONNX or its Runtime, no scikit-learn, no templates and neither service: a command is there at once."""
    heavy = (
        "{'torch', 'transformers', 'onnx', 'onnxruntime', 'sklearn', 'jinja2', 'huggingface_hub',"
        " 'services.train', 'services.infer'}"
    )
    code = f"import sys, services.cli.app; sys.exit(str(found) if (found := {heavy} & sys.modules.keys()) else 0)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_demo_says_commands_that_exist():
    """Every command of the demo is understood: without a service each is refused by the connection, none as misused."""
    nowhere = ["--train-address", "127.0.0.1:1", "--infer-address", "127.0.0.1:1"]
    said = []
    demonstrate(lambda *arguments: said.append(list(arguments)))

    assert {arguments[0] for arguments in said} == {"data", "train", "classify", "extract", "eval", "models"}
    for arguments in said:
        run = CliRunner().invoke(app, [*nowhere, *arguments])
        assert (run.exit_code, "UNAVAILABLE" in run.stderr) == (1, True), arguments


@given(st.lists(st.text(), max_size=50), st.integers(1, 20))
def test_batches_hold_every_text_in_order(texts, size):
    """Nothing is lost, doubled or moved, and no batch is empty or too long."""
    cut = list(batches(texts, size))

    assert [text for batch in cut for text in batch] == texts
    assert all(1 <= len(batch) <= size for batch in cut)


def test_states_that_this_client_does_not_know_are_tolerated():
    """A newer service may have more states."""
    job = pb.TrainingJob(id="job-1", state=99)

    assert state_name(job) == "STATE_99"
    record = job_record(job)
    assert record["state"] == "STATE_99"
    assert record["start_time"] is None
    assert record["progress"]["metric"] is None


def test_a_folder_that_cannot_be_used_is_said_in_one_line(tmp_path):
    """`up` below something that is no folder ends with a word about it, not with a traceback."""
    (tmp_path / "file").write_text("")
    run = CliRunner().invoke(app, ["up", "--folder", str(tmp_path / "file" / "data")])

    assert run.exit_code == 1
    assert "FOLDER_UNUSABLE" in run.stderr
    assert "Traceback" not in run.stderr


# Any whole number of `train` and `classify`, as their help names it.
WHOLE_NUMBERS = ["--max-epochs", "--batch-size", "--patience", "--max-tokens", "--seed", "--layers", "--width",
                 "--embedding-width", "--vocabulary-size"]  # fmt: skip


@pytest.mark.parametrize("value", [2**31 + 1, 2**32 + 1, 2**64, -(2**40)])
@pytest.mark.parametrize(
    "arguments",
    [
        *(["train", "m", "d", option] for option in [*WHOLE_NUMBERS, "--priority", "--max-minutes"]),
        ["classify", "m", "x", "--top-k"],
    ],
)
def test_a_number_that_no_field_holds_is_named(arguments, value):
    """It is a usage error that names its option, never a traceback; what a field holds is the service's to judge."""
    if (arguments[-1], value) == ("--seed", 2**31 + 1):
        return  # which is one
    nowhere = ["--train-address", "127.0.0.1:1", "--infer-address", "127.0.0.1:1"]
    run = CliRunner().invoke(app, [*nowhere, *arguments, str(value)])
    assert run.exit_code == 2
    assert arguments[-1] in run.output
