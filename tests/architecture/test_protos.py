"""The public contract is documented, typed and generated as it should be."""

from collections import Counter
from pathlib import Path

from tests.architecture.proto_files import (
    ROOT,
    behaviours,
    elements,
    is_real_oneof_member,
    messages,
    parsed_files,
    run_protoc,
)


def test_every_element_has_a_comment() -> None:
    """Every service, rpc, message, field, oneof, enum and enum value says what it is."""
    found = elements()
    kinds = {"service", "rpc", "message", "field", "oneof", "enum", "enum value"}
    assert set(Counter(element.kind for element in found)) == kinds  # the walk sees all kinds
    assert [f"{element.kind} {element.name}" for element in found if not element.comment] == []


def request_messages() -> set[str]:
    """Return the full names of all messages that a caller sends, nested ones included."""
    known = messages()
    waiting = [
        method.input_type for file in parsed_files() for service in file.service for method in service.method
    ]
    sent: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in sent or name not in known:
            continue
        sent.add(name)
        waiting += [field.type_name for field in known[name].field if field.type_name]
    return sent


def test_every_request_field_says_whether_it_is_required() -> None:
    """Every field that a caller sends is REQUIRED or OPTIONAL; a oneof says itself that one member is set."""
    silent = [
        f"{name}.{field.name}"
        for name in sorted(request_messages())
        for field in messages()[name].field
        if not is_real_oneof_member(field) and behaviours(field) not in (["REQUIRED"], ["OPTIONAL"])
    ]
    assert ".tagsmith.training.v1.Hyperparameters" in request_messages()  # nested ones are reached
    assert silent == []


def test_the_committed_stubs_are_those_of_the_protos(tmp_path: Path) -> None:
    """Generating the stubs anew gives, byte for byte, the files in shared/stubs; none is missing and none is left over."""
    run_protoc(*(f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")))
    generated = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.py*")}
    committed = {
        path.relative_to(ROOT): path.read_bytes()
        for path in (ROOT / "shared/stubs").rglob("*_pb2*.py*")
        if "__pycache__" not in path.parts
    }
    assert sorted(committed) == sorted(generated)
    assert [str(name) for name in generated if generated[name] != committed[name]] == []
