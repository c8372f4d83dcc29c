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


def test_at_most_a_hundred_problems_travel() -> None:
    """A dataset of a million broken rows gives a short answer that still counts them all."""
    error = errors.DatasetInvalidError("bad.", [Problem(f"f:{n}", "bad") for n in range(1000)])
    read = read_status(to_status(error))
    assert (len(read.problems), read.metadata["problem_count"]) == (100, "1000")
