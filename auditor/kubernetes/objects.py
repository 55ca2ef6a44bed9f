"""Decode one readable stored value: the object that it names, and what may leave this module of it.

Envelope: `k8s\\0` and runtime.Unknown (k8s.io/apimachinery pkg/runtime/generated.proto), JSON, or CBOR behind tag
55799. Only names, types and times leave this module, and a digest that never leaves the process.
"""

import hashlib
import json
import re
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from auditor.evidence.protobuf_wire import encoded_varint, leading_fields, varint_at
from auditor.kubernetes.trees import as_bytes, coded, parsed, seconds
from auditor.model.vocabulary import Encoding
from auditor.protobuf import kubernetes_pb2 as pb

ENVELOPE = 4
SECRET = b"k8s\0\n\x0c\n\x02v1\x12\x06Secret\x12"
PLAIN = b'\x1a\0"\0'
"""How kube-apiserver begins and ends the envelope of a v1 Secret, but for the length: most envelopes need no parser."""
CUT = "the end of the value is lost"
LONGEST_TAIL = 1 << 16
"""Bytes at the end of a fragment in which the end of a Secret is looked for."""
_SECRET_END = re.compile(rb"\x1a([\x01-\x7f])([A-Za-z0-9][A-Za-z0-9./_-]{0,126})(?:\x28[\x00\x01])?\x1a\x00\x22")
"""A v1 Secret's type is field 3, `immutable` 5; the envelope's contentEncoding and contentType are 3 and 4."""
_JSON_START = re.compile(rb'\{"kind":"(\w+)","apiVersion":"([\w./]+)"')


class Object(NamedTuple):
    """What a readable value says it is. Texts are as stored (bytes), `created` in seconds since 1970 UTC.

    content: a digest of what the object holds apart from its metadata, to compare two values within this process;
    it must never be written anywhere. problem: why the value does not decode, empty where it does.
    """

    api_version: bytes = b""
    kind: bytes = b""
    namespace: bytes = b""
    name: bytes = b""
    uid: bytes = b""
    created: int | None = None
    type: bytes = b""
    data_keys: tuple[bytes, ...] = ()
    content: bytes = b""
    problem: str = ""

    def __repr__(self) -> str:
        return "Object(...)"


def decode(value: bytes, encoding: Encoding, *, cut: bool = False, content: bool = True) -> Object:
    """Never raises: what does not decode has a `problem`, which quotes nothing of the value.

    cut: the end of the value is lost; of protobuf what stands before it is decoded. content: whether a digest is made.
    """
    try:
        if encoding is Encoding.PROTOBUF:
            return _cut(value) if cut else _protobuf(value, content=content)
        if cut and (begun := _JSON_START.match(value)):
            return Object(begun[2], begun[1], problem=CUT)
        if encoding in {Encoding.JSON, Encoding.CBOR}:
            return _tree(parsed(value, encoding))
    except (DecodeError, UnicodeDecodeError):
        return Object(problem="no protobuf envelope" if encoding is Encoding.PROTOBUF else "text that is not UTF-8")
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError, OverflowError, EOFError, MemoryError):
        return Object(problem=f"does not decode as {encoding.label}")
    return Object(problem="no known encoding")


def _unwrapped(value: bytes) -> tuple[bytes, bytes, bytes]:
    """What an envelope holds: API version, kind, and the object's own bytes. Raises DecodeError."""
    if value.startswith(SECRET) and value.endswith(PLAIN):
        for width in (2, 1, 3):
            raw = value[len(SECRET) + width : -len(PLAIN)]
            if value[len(SECRET) : len(SECRET) + width] == encoded_varint(len(raw)):
                return b"v1", b"Secret", raw
    unknown = pb.Unknown.FromString(value[ENVELOPE:])
    return unknown.type_meta.api_version, unknown.type_meta.kind, unknown.raw


def _protobuf(value: bytes, *, content: bool) -> Object:
    api_version, kind, raw = _unwrapped(value)
    if not kind:
        return Object(problem="an envelope that names no kind")
    if kind == b"Secret" and api_version == b"v1":
        secret = pb.Secret.FromString(raw)
        keys = tuple([entry.key for entry in secret.data])
        digest = _digest(secret.type, [(entry.key, entry.value) for entry in secret.data]) if content else b""
        return _with_meta(secret.metadata, api_version, kind, secret.type, keys, digest)
    digest = _without_metadata(raw) if content else b""
    if kind == b"ConfigMap":
        # the same field numbers as a Secret's; binaryData, field 3, is skipped as a foreign type
        keys = tuple([entry.key for entry in pb.Secret.FromString(raw).data])
        return _with_meta(pb.Object.FromString(raw).metadata, api_version, kind, b"", keys, digest)
    return _with_meta(pb.Object.FromString(raw).metadata, api_version, kind, content=digest)


def newest(value: bytes, encoding: Encoding) -> int:
    """The latest time that an object names, in seconds since 1970 UTC: of its making, a change, a Lease's renewal.

    0 where it does not decode, or names none.
    """
    try:
        if encoding is Encoding.PROTOBUF:
            unknown = pb.Unknown.FromString(value[ENVELOPE:])
            # only a Lease is renewed; of other kinds the same field is something else
            lease = pb.Lease.FromString(unknown.raw if unknown.type_meta.kind == b"Lease" else b"")
            meta = pb.Object.FromString(unknown.raw).metadata
            times = [entry.time.seconds for entry in meta.managed_fields]
            return max([0, meta.creation_timestamp.seconds, lease.spec.renew_time.seconds, *times])
        meta = parsed(value, encoding)["metadata"]
        texts = [meta.get("creationTimestamp"), *(entry.get("time") for entry in meta.get("managedFields") or ())]
        return max(seconds(text) or 0 for text in texts)
    except (DecodeError, UnicodeDecodeError):
        return 0
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError, OverflowError, EOFError, MemoryError):
        return 0


def data(value: bytes, encoding: Encoding) -> list[tuple[bytes, bytes]]:
    """Name and bytes of each of a Secret's data values; none where it does not decode. Never to be written anywhere."""
    try:
        if encoding is Encoding.PROTOBUF:
            return [(each.key, each.value) for each in pb.Secret.FromString(pb.Unknown.FromString(value[4:]).raw).data]
        return [(as_bytes(name), coded(each)) for name, each in parsed(value, encoding)["data"].items()]
    except (DecodeError, ValueError, RecursionError, TypeError, AttributeError, KeyError):
        return []


def annotations(value: bytes) -> dict[bytes, bytes]:
    """Those of a protobuf or JSON object; none where it does not decode."""
    try:
        if value.startswith(b"{"):
            named = parsed(value, Encoding.JSON)["metadata"]["annotations"].items()
            return {as_bytes(name): as_bytes(text) for name, text in named}
        meta = pb.Object.FromString(pb.Unknown.FromString(value[ENVELOPE:]).raw).metadata
    except (DecodeError, ValueError, RecursionError, TypeError, AttributeError, KeyError):
        return {}
    return {entry.key: entry.value for entry in meta.annotations}


def tail(value: bytes) -> Object:
    """What the end of a value says whose head was overwritten: a v1 Secret's ends in its type."""
    for match in _SECRET_END.finditer(value, max(0, len(value) - LONGEST_TAIL)):
        if match[1][0] == len(match[2]):
            return Object(b"v1", b"Secret", type=match[2], problem="the head of the value is lost")
    return Object(problem="the head of the value is lost")


def _cut(value: bytes) -> Object:
    """What the beginning of an envelope says: kind, metadata, and the names of the data keys that are left."""
    envelope = dict(leading_fields(value[ENVELOPE:]))
    named, raw = dict(leading_fields(envelope.get(1, b""))), list(leading_fields(envelope.get(2, b"")))
    api_version, kind = named.get(1, b""), named.get(2, b"")
    part = dict(raw[:1]).get(1, b"")
    try:
        meta = pb.ObjectMeta.FromString(part)
    except DecodeError:
        begun = dict(leading_fields(part))
        meta = pb.ObjectMeta(name=begun.get(1, b""), namespace=begun.get(3, b""), uid=begun.get(5, b""))
    keys: tuple[bytes, ...] = ()
    if kind in {b"Secret", b"ConfigMap"}:
        keys = tuple(dict(leading_fields(entry)).get(1, b"") for number, entry in raw if number == 2)
    return _with_meta(meta, api_version, kind, data_keys=keys)._replace(problem=CUT)


def _with_meta(
    meta: pb.ObjectMeta,
    api_version: bytes,
    kind: bytes,
    type_: bytes = b"",
    data_keys: tuple[bytes, ...] = (),
    content: bytes = b"",
) -> Object:
    created = meta.creation_timestamp.seconds if meta.HasField("creation_timestamp") else None
    return Object(api_version, kind, meta.namespace, meta.name, meta.uid, created, type_, data_keys, content)


def _without_metadata(raw: bytes) -> bytes:
    """Digest of an object's protobuf without its first field. Go writes maps in the order of their keys."""
    if raw[:1] != b"\x0a":
        return _digest(raw, [])
    decoded = varint_at(raw, 1, len(raw))
    return _digest(raw[sum(decoded) :] if decoded is not None else b"", [])


def _tree(tree: Any) -> Object:
    """An object from JSON or CBOR."""
    if not isinstance(tree, dict) or not isinstance(tree.get("kind"), (str, bytes)):
        return Object(problem="an object that names no kind")
    meta = tree.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    data = tree.get("data")
    kind, api_version = as_bytes(tree["kind"]), as_bytes(tree.get("apiVersion"))
    keys: tuple[bytes, ...] = ()
    if kind in {b"Secret", b"ConfigMap"} and isinstance(data, dict):
        keys = tuple(sorted(as_bytes(key) for key in data))
    if kind == b"Secret" and isinstance(data, dict):
        content = _digest(as_bytes(tree.get("type")), [(as_bytes(key), coded(value)) for key, value in data.items()])
    else:
        rest = {key: part for key, part in tree.items() if key != "metadata"}
        content = _digest(json.dumps(rest, sort_keys=True, default=repr).encode("utf-8", "surrogatepass"), [])
    created = seconds(meta.get("creationTimestamp"))
    namespace, name, uid = (as_bytes(meta.get(text)) for text in ("namespace", "name", "uid"))
    return Object(api_version, kind, namespace, name, uid, created, as_bytes(tree.get("type")), keys, content)


def _digest(head: bytes, pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Of a type and data, whatever order the pairs stand in; lengths keep parts from running into each other."""
    digest = hashlib.blake2b(head, digest_size=16)
    for key, value in sorted(pairs):
        digest.update(b"%d:%d:%b%b" % (len(key), len(value), key, value))
    return digest.digest()
