"""One closed set of errors: proto, classes, codes and README name the same reasons."""

import json
import re

import pytest
from google.rpc import code_pb2

import shared.errors
from shared.errors import ProblemsError, TagsmithError
from shared.rpc.status import CODES
from shared.stubs.errors.v1 import error_reason_pb2
from tests.architecture.proto_files import Element, elements
from tests.architecture.readme import quoted, rows

REASONS = sorted(set(error_reason_pb2.ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"})
CLASSES = [
    each
    for each in vars(shared.errors).values()
    if isinstance(each, type)
    and issubclass(each, TagsmithError)
    and each not in (TagsmithError, ProblemsError)
]
VALUES = [
    element
    for element in elements()
    if element.kind == "enum value" and element.name.startswith("tagsmith.errors.v1.ErrorReason.")
]


def test_every_reason_has_one_class() -> None:
    """Each reason but INTERNAL, which is what nobody foresaw, is raised by exactly one class of shared.errors."""
    assert sorted([*(each.reason for each in CLASSES), "INTERNAL"]) == REASONS


def test_every_reason_has_one_code() -> None:
    """shared.rpc.status gives each reason its gRPC code, and the proto's comment names the same one."""
    assert sorted(CODES) == REASONS
    named = {element.name.rpartition(".")[2]: element.comment for element in VALUES}
    on_the_wire = {reason for reason in REASONS if not named[reason].startswith("In TrainingJob.error only.")}
    assert [
        reason
        for reason in sorted(on_the_wire)
        if not named[reason].startswith(code_pb2.Code.Name(CODES[reason]))
    ] == []


def test_every_reason_stands_in_the_readme() -> None:
    """The README's table `Errors` has one row for each reason and no other, with the code that callers see."""
    told = {quoted(reason): code for reason, code, _ in rows("Errors")}
    assert sorted(told) == REASONS
    seen = {
        reason: code.removesuffix(" with RetryInfo")
        for reason, code in told.items()
        if not code.startswith("(")
    }
    assert seen == {reason: code_pb2.Code.Name(CODES[reason]) for reason in seen}
    may_be_retried = {reason for reason, code in told.items() if code.endswith(" with RetryInfo")}
    assert may_be_retried == {each.reason for each in CLASSES if each.retry_after_ms is not None}


@pytest.mark.parametrize("element", VALUES[1:], ids=lambda element: element.name.rpartition(".")[2])
def test_every_reason_has_an_example(element: Element) -> None:
    """The comment of a reason ends with an example of its ErrorInfo: JSON of this reason with text metadata."""
    found = re.search(r"^\s*Example: (\{.*\})\Z", element.comment, flags=re.MULTILINE)
    assert found
    example = json.loads(found[1])
    assert set(example) == {"reason", "metadata"}
    assert example["reason"] == element.name.rpartition(".")[2]
    assert all(isinstance(value, str) for value in example["metadata"].values())
