"""The public contract as protoc reads it: every element with the comment above it."""

import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc_tools
from google.api.field_behavior_pb2 import FieldBehavior, field_behavior  # known before descriptors are read
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)
from grpc_tools import protoc

ROOT = Path(__file__).parents[2]

# Field numbers within descriptor.proto: the path of an element is the numbers and indices that lead to it.
FILE_MESSAGE, FILE_ENUM, FILE_SERVICE = 4, 5, 6
MESSAGE_FIELD, MESSAGE_NESTED, MESSAGE_ENUM, MESSAGE_ONEOF = 2, 3, 4, 8
ENUM_VALUE = 2
SERVICE_METHOD = 2


@dataclass(frozen=True, slots=True)
class Element:
    """A service, rpc, message, field, oneof, enum or enum value."""

    kind: str
    name: str  # full, such as tagsmith.training.v1.TrainingJob.State.QUEUED
    comment: str  # the comment above it, stripped; empty if there is none


def run_protoc(*outputs: str) -> None:
    """Run protoc over all our files as the Makefile does. Raises RuntimeError if it refuses them."""
    bundled = Path(grpc_tools.__file__).with_name("_proto")  # google/protobuf/*.proto
    ours = f"shared/stubs={ROOT}/protos/tagsmith"
    includes = [f"-I{folder}" for folder in (ours, sysconfig.get_path("purelib"), bundled)]
    files = sorted(str(path) for path in ROOT.glob("protos/tagsmith/**/*.proto"))
    if not files or protoc.main(["protoc", *includes, *outputs, *files]) != 0:
        raise RuntimeError(f"protoc refused {files}")


@cache
def parsed_files() -> tuple[FileDescriptorProto, ...]:
    """Return the descriptors of our files, comments included."""
    with TemporaryDirectory() as folder:
        target = Path(folder) / "set.binpb"
        run_protoc(f"--descriptor_set_out={target}", "--include_source_info")
        return tuple(FileDescriptorSet.FromString(target.read_bytes()).file)


def elements() -> list[Element]:
    """Return every element of every file."""
    return [element for file in parsed_files() for element in _Reader(file).elements()]


def messages() -> dict[str, DescriptorProto]:
    """Return every top-level message by its full name with a leading dot, as descriptors refer to it."""
    return {
        f".{file.package}.{message.name}": message for file in parsed_files() for message in file.message_type
    }


def is_real_oneof_member(field: FieldDescriptorProto) -> bool:
    """Tell a member of a `oneof` from an `optional` field, which has a oneof of its own."""
    return field.HasField("oneof_index") and not field.proto3_optional


def behaviours(field: FieldDescriptorProto) -> list[str]:
    """Return what (google.api.field_behavior) says of a field, such as ["REQUIRED"]."""
    return [FieldBehavior.Name(value) for value in field.options.Extensions[field_behavior]]


class _Reader:
    """Walks one file."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._file = file
        self._comments = {
            tuple(location.path): location.leading_comments.strip()
            for location in file.source_code_info.location
        }

    def elements(self) -> Iterator[Element]:
        package = self._file.package
        for index, service in enumerate(self._file.service):
            path = (FILE_SERVICE, index)
            yield self._element("service", f"{package}.{service.name}", path)
            for number, method in enumerate(service.method):
                name = f"{package}.{service.name}.{method.name}"
                yield self._element("rpc", name, (*path, SERVICE_METHOD, number))
        for index, message in enumerate(self._file.message_type):
            yield from self._of_message(message, package, (FILE_MESSAGE, index))
        for index, enum in enumerate(self._file.enum_type):
            yield from self._of_enum(enum, package, (FILE_ENUM, index))

    def _of_message(self, message: DescriptorProto, scope: str, path: tuple[int, ...]) -> Iterator[Element]:
        if message.options.map_entry:  # made by protoc for a map field
            return
        name = f"{scope}.{message.name}"
        yield self._element("message", name, path)
        for index, field in enumerate(message.field):
            yield self._element("field", f"{name}.{field.name}", (*path, MESSAGE_FIELD, index))
        real = {field.oneof_index for field in message.field if is_real_oneof_member(field)}
        for index in real:
            oneof = message.oneof_decl[index].name
            yield self._element("oneof", f"{name}.{oneof}", (*path, MESSAGE_ONEOF, index))
        for index, nested in enumerate(message.nested_type):
            yield from self._of_message(nested, name, (*path, MESSAGE_NESTED, index))
        for index, enum in enumerate(message.enum_type):
            yield from self._of_enum(enum, name, (*path, MESSAGE_ENUM, index))

    def _of_enum(self, enum: EnumDescriptorProto, scope: str, path: tuple[int, ...]) -> Iterator[Element]:
        name = f"{scope}.{enum.name}"
        yield self._element("enum", name, path)
        for index, value in enumerate(enum.value):
            yield self._element("enum value", f"{name}.{value.name}", (*path, ENUM_VALUE, index))

    def _element(self, kind: str, name: str, path: tuple[int, ...]) -> Element:
        return Element(kind, name, self._comments.get(path, ""))
