"""Fails when something of the API is not documented: check_protos.py ROOT.

A comment stands at every service, method, message, enum, enum value and field, but where it could
only repeat what stands elsewhere:
- a request or response message: its method says what the call does;
- a field whose type is a message or enum of ours: the type says what it is;
- a field that is called by a word of the table "Fields" of docs/glossary.md: it means just that;
- the value 0 of an enum, `..._UNSPECIFIED`, and the values of an enum that comments none of them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf import descriptor_pb2 as descriptors

from tree import Breach, files, finish, lines

_PACKAGE = ".drawbridge."
# Qt's macros: a member of that name breaks the generated header in the console.
_FORBIDDEN_NAMES = {"emit", "signals", "slots", "foreach"}


def glossary_fields(root: Path) -> set[str]:
    """The names in the first column of the glossary's table of fields."""
    names: set[str] = set()
    in_section = False
    for _, line in lines(root, Path("docs/glossary.md")):
        if line.startswith("## "):
            in_section = line.startswith("## Fields")
        elif in_section and line.startswith("| `"):
            names.update(re.findall(r"`(\w+)`", line.split("|")[1]))
    return names


def describe(root: Path) -> descriptors.FileDescriptorSet:
    """Our protos as protoc understands them, comments included."""
    protos = root / "proto"
    sources = [path.relative_to("proto") for path in files(root, ("proto/drawbridge",), "*.proto")]
    with tempfile.NamedTemporaryFile() as output:
        command = ["protoc", "-I", ".", "--include_source_info", "-o", output.name]
        subprocess.run([*command, *map(str, sources)], check=True, cwd=protos)
        return descriptors.FileDescriptorSet.FromString(Path(output.name).read_bytes())


class _File:
    """Finds what is wrong in one proto file."""

    def __init__(self, proto: descriptors.FileDescriptorProto, known_fields: set[str]) -> None:
        self._proto = proto
        self._known_fields = known_fields
        self._places = {tuple(place.path): place for place in proto.source_code_info.location}
        methods = [method for service in proto.service for method in service.method]
        self._call_messages = {
            name.rpartition(".")[2]
            for method in methods
            for name in (method.input_type, method.output_type)
            if name.endswith(("Request", "Response"))
        }

    def check(self) -> Iterator[Breach]:
        for i, service in enumerate(self._proto.service):
            yield from self._documented((6, i), f"service {service.name}")
            for j, method in enumerate(service.method):
                yield from self._documented((6, i, 2, j), f"method {method.name}")
        for i, enum in enumerate(self._proto.enum_type):
            yield from self._enum((5, i), enum)
        for i, message in enumerate(self._proto.message_type):
            yield from self._message((4, i), message)

    def _message(
        self, path: tuple[int, ...], message: descriptors.DescriptorProto
    ) -> Iterator[Breach]:
        if message.options.map_entry:
            return
        if message.name not in self._call_messages:
            yield from self._documented(path, f"message {message.name}")
        for i, one in enumerate(message.field):
            yield from self._field((*path, 2, i), f"{message.name}.{one.name}", one)
        for i, enum in enumerate(message.enum_type):
            yield from self._enum((*path, 4, i), enum)
        for i, nested in enumerate(message.nested_type):
            yield from self._message((*path, 3, i), nested)

    def _field(
        self, path: tuple[int, ...], name: str, one: descriptors.FieldDescriptorProto
    ) -> Iterator[Breach]:
        if one.name in _FORBIDDEN_NAMES:
            yield self._breach(path, f"field {name}: the name is a macro of Qt")
        of_ours = one.type_name.startswith(_PACKAGE) and not one.type_name.endswith("Entry")
        if not of_ours and one.name not in self._known_fields:
            yield from self._documented(path, f"field {name}")

    def _enum(
        self, path: tuple[int, ...], enum: descriptors.EnumDescriptorProto
    ) -> Iterator[Breach]:
        yield from self._documented(path, f"enum {enum.name}")
        if not enum.value[0].name.endswith("_UNSPECIFIED"):
            yield self._breach((*path, 2, 0), f"enum {enum.name}: value 0 is ..._UNSPECIFIED")
        values = [(*path, 2, i) for i in range(len(enum.value))]
        if not any(map(self._has_comment, values)):
            return
        for place, value in zip(values, enum.value):
            if value.number != 0:
                yield from self._documented(place, f"value {value.name}")

    def _documented(self, path: tuple[int, ...], what: str) -> Iterator[Breach]:
        if not self._has_comment(path):
            yield self._breach(path, f"{what} has no comment")

    def _has_comment(self, path: tuple[int, ...]) -> bool:
        place = self._places[path]
        return bool(place.leading_comments.strip() or place.trailing_comments.strip())

    def _breach(self, path: tuple[int, ...], reason: str) -> Breach:
        return Breach(f"proto/{self._proto.name}", self._places[path].span[0] + 1, reason)


def check(root: Path) -> Iterable[Breach]:
    """Everything below `root`/proto/drawbridge that breaks a rule."""
    known_fields = glossary_fields(root)
    for proto in describe(root).file:
        yield from _File(proto, known_fields).check()


if __name__ == "__main__":
    sys.exit(finish(check(Path(sys.argv[1]))))
