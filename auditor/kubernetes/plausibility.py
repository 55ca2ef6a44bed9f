"""Texts of objects that are shown, held to what Kubernetes takes: damage may have made one of a value.

A changed length runs over what follows, and a changed tag makes a name of it. k8s.io/apimachinery pkg/util/validation
(IsConfigMapKey, IsQualifiedName, IsDNS1035Label of a kind); Go writes a value into each entry of a map,
but for null: such an entry has no name here either.
"""

import re

from auditor.evidence.protobuf_wire import leading_fields
from auditor.protobuf import kubernetes_pb2 as pb

_NAME = re.compile(rb"[-._/a-zA-Z0-9]{0,317}")
_KIND = re.compile(rb"[A-Za-z][-A-Za-z0-9]{0,62}|")
_VERSION = re.compile(rb"[-./a-zA-Z0-9]{0,317}")
_UID = re.compile(rb"[-a-zA-Z0-9]{0,64}")
NO_NAME = b"(no name)"
"""What stands for a name that none is."""


def data_name(name: bytes) -> bytes:
    """A name of data, or of a label; NO_NAME for what none is."""
    return name if _NAME.fullmatch(name) else NO_NAME


def entry_name(entry: pb.Entry) -> bytes:
    """The name in an entry of data."""
    return data_name(entry.key) if entry.HasField("value") else NO_NAME


def leading_name(entry: bytes) -> bytes:
    """The name in an entry of data whose end may be lost: its first field, which no other of that number follows."""
    fields = list(leading_fields(entry))
    numbers = [number for number, _ in fields]
    return data_name(fields[0][1]) if numbers[:1] == [1] and numbers.count(1) == 1 else NO_NAME


def is_kind(api_version: bytes, kind: bytes) -> bool:
    """Whether an object may be of this version and kind, either of which may be missing."""
    return _KIND.fullmatch(kind) is not None and _VERSION.fullmatch(api_version) is not None


def is_uid(uid: bytes) -> bool:
    """Whether this may be a uid, or none."""
    return _UID.fullmatch(uid) is not None
