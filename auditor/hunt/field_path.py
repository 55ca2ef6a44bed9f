"""The path of the field of an object that a position lies in.

Field numbers: k8s.io/apimachinery pkg/apis/meta/v1 and pkg/runtime, k8s.io/api core/v1, apps/v1, batch/v1
(generated.proto).
"""

import contextlib
import json
from typing import Any, NamedTuple

from auditor.evidence.protobuf_wire import BYTES, WireError, fields
from auditor.kubernetes.plausibility import data_name
from auditor.text import decode, printable

ENVELOPE = 4
DEEPEST = 64


class _Field(NamedTuple):
    """One protobuf field of an object."""

    name: str
    """Name in JSON; empty where the path skips it."""
    content: str = ""
    """Type of the content: a message of _MESSAGES, `map`, or empty for text."""
    many: bool = False
    """Whether the field is repeated."""


_MESSAGES: dict[str, dict[int, _Field]] = {
    "meta": {
        1: _Field("name"),
        3: _Field("namespace"),
        11: _Field("labels", "map"),
        12: _Field("annotations", "map"),
        17: _Field("managedFields", "managed", many=True),
    },
    "managed": {7: _Field("fieldsV1")},
    "environment": {1: _Field("name"), 2: _Field("value"), 3: _Field("valueFrom")},
    "container": {
        1: _Field("name"),
        2: _Field("image"),
        3: _Field("command", many=True),
        4: _Field("args", many=True),
        5: _Field("workingDir"),
        7: _Field("env", "environment", many=True),
    },
    "ephemeral": {1: _Field("", "container")},
    "pod": {
        1: _Field("volumes", many=True),
        2: _Field("containers", "container", many=True),
        20: _Field("initContainers", "container", many=True),
        34: _Field("ephemeralContainers", "ephemeral", many=True),
    },
    "template": {1: _Field("metadata", "meta"), 2: _Field("spec", "pod")},
    "third": {3: _Field("template", "template")},
    "second": {2: _Field("template", "template")},
    "job": {6: _Field("template", "template")},
    "job template": {1: _Field("metadata", "meta"), 2: _Field("spec", "job")},
    "cron": {5: _Field("jobTemplate", "job template")},
}
_META = {1: _Field("metadata", "meta")}
_KINDS: dict[bytes, dict[int, _Field]] = {
    b"Secret": {**_META, 2: _Field("data", "map"), 3: _Field("type"), 4: _Field("stringData", "map")},
    b"ConfigMap": {**_META, 2: _Field("data", "map"), 3: _Field("binaryData", "map")},
    b"Pod": {**_META, 2: _Field("spec", "pod"), 3: _Field("status")},
    b"PodTemplate": {**_META, 2: _Field("template", "template")},
    b"Deployment": {**_META, 2: _Field("spec", "third")},
    b"ReplicaSet": {**_META, 2: _Field("spec", "third")},
    b"StatefulSet": {**_META, 2: _Field("spec", "third")},
    b"ReplicationController": {**_META, 2: _Field("spec", "third")},
    b"DaemonSet": {**_META, 2: _Field("spec", "second")},
    b"Job": {**_META, 2: _Field("spec", "job")},
    b"CronJob": {**_META, 2: _Field("spec", "cron")},
    b"Event": {**_META, 3: _Field("reason"), 4: _Field("message")},
}


def locate(value: bytes, at: int, size: int) -> str:
    """The path of a field; empty where it is not known.

    Args:
        value: the object, as stored or opened.
        at: start of bytes that the field holds.
        size: number of these bytes.
    """
    try:
        if value.startswith(b"k8s\0"):
            return _protobuf(value, at)
        if value.startswith(b"{"):
            return _json(json.loads(value), value[at : at + size])
    except (WireError, ValueError, RecursionError):
        pass
    return ""


def _protobuf(value: bytes, at: int) -> str:
    kind = b""
    for number, form, start, end in fields(value, ENVELOPE, len(value)):
        if number == 1 and form == BYTES:
            kind = next((value[first:last] for which, _, first, last in fields(value, start, end) if which == 2), b"")
        elif number == 2 and form == BYTES and start <= at < end:
            return ".".join(_walk(value, start, end, at, _KINDS.get(kind, _META)))
    return ""


def _walk(value: bytes, start: int, end: int, at: int, known: dict[int, _Field]) -> list[str]:
    """The names on the path from a message, between `start` and `end`, to the field that holds `at`."""
    counts: dict[int, int] = {}
    for number, form, first, last in fields(value, start, end):
        index = counts[number] = counts.get(number, -1) + 1
        if form != BYTES or not first <= at < last:
            continue
        field = known.get(number)
        if field is None:
            return [f"field {number}"]
        if field.content == "map":
            key = next((value[a:b] for which, _, a, b in fields(value, first, last) if which == 1), b"")
            dotted = field.name == "data" or field.name.endswith("Data")
            name = printable(data_name(key))
            return [f"{field.name}.{name}" if dotted else f"{field.name}[{name}]"]
        name = f"{field.name}[{index}]" if field.many else field.name
        inner = _walk(value, first, last, at, _MESSAGES[field.content]) if field.content else []
        return [part for part in (name, *inner) if part]
    return []


def _json(tree: Any, text: bytes) -> str:
    """The path of the first text that holds these bytes, as they stand or without JSON's escapes."""
    spellings = [decode(text)]
    with contextlib.suppress(ValueError):
        spellings.append(json.loads(b'"' + text + b'"'))
    stack: list[tuple[str, Any, int]] = [("", tree, 0)]
    while stack:
        path, part, depth = stack.pop()
        if isinstance(part, str) and any(spelling in part for spelling in spellings):
            return path
        if depth > DEEPEST:
            continue
        if isinstance(part, dict):
            for name, value in part.items():
                shown = printable(str(name).encode("utf-8", "surrogatepass"))
                inner = (
                    f"{path}[{shown}]" if path.endswith(("annotations", "labels")) else f"{path}.{shown}".lstrip(".")
                )
                stack.append((inner, value, depth + 1))
        elif isinstance(part, list):
            stack += [(f"{path}[{number}]", value, depth + 1) for number, value in enumerate(part)]
    return ""
