"""Domain errors survive the wire."""

import inspect

import pytest

from shared import errors
from shared.errors import Problem, ProblemsError, TagsmithError
from shared.rpc.status import CODES, Explained, internal_status, read_status, to_status


def _concrete() -> list[type[TagsmithError]]:
    return [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, TagsmithError) and "reason" in vars(kind)
    ]


@pytest.mark.parametrize("kind", _concrete(), ids=lambda kind: kind.__name__)
def test_every_error_is_read_back_as_it_was_sent(kind: type[TagsmithError]) -> None:
    """Reason, message, metadata, problems and retry delay come back whole."""
    problems = (Problem("train.csv:3", "label is empty"), Problem("train.csv:9", "text is empty"))
    if issubclass(kind, ProblemsError):
        error = kind("two rows cannot be used.", problems, file="train.csv")
        expected_metadata = {"file": "train.csv", "problem_count": "2"}
        expected_problems = problems
    else:
        error, expected_metadata, expected_problems = kind("what and why", model="banking", limit=3), {}, ()
        expected_metadata = {"model": "banking", "limit": "3"}
    read = read_status(to_status(error))
    assert isinstance(read, Explained)
    assert (read.reason, read.message, read.metadata) == (kind.reason, error.message, expected_metadata)
    assert read.problems == expected_problems
    assert read.retry_after_ms == kind.retry_after_ms


def test_every_reason_has_a_code_and_every_code_a_reason() -> None:
    """CODES holds exactly the reasons that can be raised, and INTERNAL."""
    assert {kind.reason for kind in _concrete()} | {"INTERNAL"} == set(CODES)


def test_a_field_error_names_its_field_as_a_violation() -> None:
    """Clients that show BadRequest find the field without parsing the message."""
    read = read_status(to_status(errors.FieldInvalidError("top_k is -1", field="top_k", value=-1)))
    assert read.problems == (Problem("top_k", "top_k is -1"),)


def test_internal_says_nothing_but_the_incident() -> None:
    """INTERNAL carries the id under which it was logged."""
    read = read_status(internal_status("5b6b1c52"))
    assert (read.code, read.metadata) == ("INTERNAL", {"incident": "5b6b1c52"})


def test_problems_never_outgrow_a_trailer() -> None:
    """A dataset of a thousand broken rows, long names and long words, gives an answer that travels and still counts them all."""
    words = "is not JSON: " + "expecting ',' delimiter " * 40
    problems = [Problem(f"{'support-intents' * 20}-2024.jsonl:{n}", words) for n in range(1000)]
    status = to_status(errors.DatasetInvalidError("Nothing was stored. " * 200, problems, file="f" * 80))
    read = read_status(status)
    assert len(status.SerializeToString()) < 5000
    assert 3 <= len(read.problems) < 100
    assert read.metadata["problem_count"] == "1000"
    assert read.problems[0].description.startswith("is not JSON")


def test_short_problems_travel_up_to_a_hundred() -> None:
    """Rows with short words are told by the dozen, in their order."""
    problems = [Problem(f"f:{n}", "no label") for n in range(1000)]
    read = read_status(to_status(errors.DatasetInvalidError("bad.", problems)))
    assert read.problems == tuple(problems[: len(read.problems)])
    assert len(read.problems) == 100
