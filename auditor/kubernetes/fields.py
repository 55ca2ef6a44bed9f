"""The fields of one object by name, for the differences between two of its revisions. Their bytes never leave memory.

Field numbers: k8s.io/apimachinery pkg/apis/meta/v1, k8s.io/api core/v1 (generated.proto). Objects of kinds that are
not in KINDS have the numbers of their fields for names.
"""

import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from auditor.evidence.protobuf_wire import BYTES, VARINT, WireError, fields
from auditor.kubernetes import objects, trees
from auditor.model.vocabulary import Encoding
from auditor.protobuf import kubernetes_pb2 as pb
from auditor.text import moment, printable

META = {
    1: "name", 2: "generateName", 3: "namespace", 4: "selfLink", 5: "uid", 6: "resourceVersion", 7: "generation",
    8: "creationTimestamp", 9: "deletionTimestamp", 10: "deletionGracePeriodSeconds", 11: "labels", 12: "annotations",
    13: "ownerReferences", 14: "finalizers", 17: "managedFields",
}  # fmt: skip
KINDS = {
    b"Secret": {2: "data", 3: "type", 4: "stringData", 5: "immutable"},
    b"ConfigMap": {2: "data", 3: "binaryData", 4: "immutable"},
}
MAPS = frozenset({"labels", "annotations", "data", "binaryData", "stringData"})
TIMES = frozenset({"creationTimestamp", "deletionTimestamp"})
DEEPEST = 64


def named(value: bytes, encoding: Encoding) -> dict[str, bytes] | None:
    """The bytes of every field by path, such as `data.password`; None where the value does not decode.

    Paths are printable. The elements of a list in protobuf are concatenated.
    """
    try:
        if encoding is Encoding.PROTOBUF:
            return _concatenate(_protobuf(value))
        if encoding in {Encoding.JSON, Encoding.CBOR}:
            tree = trees.parse(value, encoding)
            return _concatenate(_tree(tree, "", 0, secret=tree.get("kind") in {"Secret", b"Secret"}))
    except (WireError, DecodeError, ValueError, RecursionError, TypeError, AttributeError, KeyError):
        pass
    return None


def _concatenate(parts: Iterator[tuple[str, bytes]]) -> dict[str, bytes]:
    """Fields by path; the parts of one path are concatenated."""
    whole: dict[str, bytes] = {}
    for name, raw in parts:
        whole[name] = whole[name] + raw if name in whole else raw
    return whole


def _protobuf(value: bytes) -> Iterator[tuple[str, bytes]]:
    unknown = pb.Unknown.FromString(value[objects.ENVELOPE :])
    raw = unknown.raw
    yield "apiVersion", unknown.type_meta.api_version
    yield "kind", unknown.type_meta.kind
    names = KINDS.get(unknown.type_meta.kind, {}) if unknown.type_meta.api_version == b"v1" else {}
    for number, form, start, end in fields(raw, 0, len(raw)):
        if number == 1 and form == BYTES:
            for inner, kind, first, last in fields(raw, start, end):
                name = META.get(inner, f"field {inner}")
                yield from _field(f"metadata.{name}", name, _content(raw, kind, first, last), text=kind == BYTES)
        else:
            name = names.get(number, f"field {number}")
            yield from _field(name, name, _content(raw, form, start, end), text=form == BYTES)


def _content(raw: bytes, kind: int, start: int, end: int) -> bytes:
    """A field's bytes; a number's as text."""
    return str(start).encode() if kind == VARINT else raw[start:end]


def _field(path: str, name: str, raw: bytes, *, text: bool) -> Iterator[tuple[str, bytes]]:
    if name in MAPS and text:
        entry = pb.Entry.FromString(raw)
        yield f"{path}.{printable(entry.key)}", entry.value
    elif name in TIMES and text:
        yield path, moment(pb.Time.FromString(raw).seconds).encode()
    elif raw:  # Go writes empty texts too
        yield path, raw


def _tree(part: Any, path: str, depth: int, *, secret: bool) -> Iterator[tuple[str, bytes]]:
    if depth > DEEPEST:
        raise ValueError("nested too deep")
    if isinstance(part, dict) and part:
        for name, value in part.items():
            shown = printable(trees.as_bytes(name))
            yield from _tree(value, f"{path}.{shown}" if path else shown, depth + 1, secret=secret)
    elif isinstance(part, list) and part:
        for number, value in enumerate(part):
            yield from _tree(value, f"{path}[{number}]", depth + 1, secret=secret)
    elif secret and path.startswith("data."):
        yield path, trees.data_value(part)
    elif isinstance(part, (str, bytes)):
        yield path, trees.as_bytes(part)
    else:
        yield path, json.dumps(part, default=repr).encode()
