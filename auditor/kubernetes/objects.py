"""Decoding of readable stored values: the metadata of their objects.

Envelope: `k8s\\0` and runtime.Unknown (k8s.io/apimachinery pkg/runtime/generated.proto), JSON, or CBOR behind tag
55799. An Object holds names, types and times, and a digest that must not leave the process; only data() returns values.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from auditor.evidence.protobuf_wire import BYTES, encoded_varint, leading_fields, varint_at
from auditor.kubernetes.credentials import valid_until
from auditor.kubernetes.data_digest import digests
from auditor.kubernetes.plausibility import data_name, entry_name, is_kind, is_uid, leading_name
from auditor.kubernetes.secret_names import selectors
from auditor.kubernetes.trees import as_bytes, data_value, parse, seconds
from auditor.model.vocabulary import Encoding
from auditor.protobuf import kubernetes_pb2 as pb

ENVELOPE = 4
SECRET = b"k8s\0\n\x0c\n\x02v1\x12\x06Secret\x12"
PLAIN = b'\x1a\0"\0'
"""Beginning and end of kube-apiserver's envelope of a v1 Secret, but for the length: most envelopes need no parser."""
CUT = "the end of the value is lost"
LONGEST_TAIL = 1 << 16
"""Bytes at the end of a fragment to search for the end of a Secret."""
_SECRET_END = re.compile(rb"\x1a([\x01-\x7f])([A-Za-z0-9][A-Za-z0-9./_-]{0,126})(?:\x28[\x00\x01])?\x1a\x00\x22")
"""A v1 Secret's type is field 3, `immutable` 5; the envelope's contentEncoding and contentType are 3 and 4."""
_DATA_FIELDS = {2, 4}
"""A Secret's data and stringData."""
_JSON_START = re.compile(rb'\{"kind":"(\w+)","apiVersion":"([\w./]+)"')


class Object(NamedTuple):
    """The metadata of a readable value. Texts are bytes, as stored."""

    api_version: bytes = b""
    """Group and version of the API."""
    kind: bytes = b""
    """Kind of the object."""
    namespace: bytes = b""
    """Namespace; empty for cluster-scoped objects."""
    name: bytes = b""
    """Name of the object."""
    uid: bytes = b""
    """Uid of the object."""
    created: int | None = None
    """Creation time in seconds since 1970 UTC."""
    type: bytes = b""
    """Type of a Secret."""
    data_keys: tuple[bytes, ...] = ()
    """Names of the data of a Secret or ConfigMap."""
    valid_until: str = ""
    """Last day of what authenticates in a Secret (credentials.valid_until()); empty where it was not asked for."""
    selectors: tuple[str, ...] = ()
    """Controllers that select a Secret by its labels (secret_names.selectors())."""
    content: bytes = b""
    """Digest of the object without its metadata, for comparisons within this process; it must never be written."""
    values: tuple[tuple[bytes, bytes], ...] = ()
    """Of a Secret the name and the digest (data_digest) of each data value, with `content`; must never be written."""
    problem: str = ""
    """Why the value does not decode, without a quotation of it; empty where it does."""

    def __repr__(self) -> str:
        return "Object(...)"


def decode(
    value: bytes, encoding: Encoding, *, cut: bool = False, content: bool = True, credentials: bool = False
) -> Object:
    """The object in a value. Never raises: a value that does not decode has a `problem`.

    Of damaged bytes a text may hold a value: kind, version, uid and names of data are those that Kubernetes takes.

    Args:
        value: the stored or opened value.
        encoding: of the value.
        cut: whether the end of the value is lost; protobuf is decoded up to there.
        content: whether the digests of the content and of its data values are computed.
        credentials: whether `valid_until` and `selectors` are.
    """
    decoded = _decode(value, encoding, cut=cut, content=content, credentials=credentials)
    if not is_kind(decoded.api_version, decoded.kind):
        return Object(problem="an object that names no kind")
    return decoded if is_uid(decoded.uid) else decoded._replace(uid=b"")


def _decode(value: bytes, encoding: Encoding, *, cut: bool, content: bool, credentials: bool) -> Object:
    """decode(), whatever texts come of it."""
    try:
        if encoding is Encoding.PROTOBUF:
            return _cut(value) if cut else _protobuf(value, content=content, credentials=credentials)
        if cut and (start := _JSON_START.match(value)):
            return Object(start[2], start[1], problem=CUT)
        if encoding in {Encoding.JSON, Encoding.CBOR}:
            return _tree(parse(value, encoding), content=content, credentials=credentials)
    except (DecodeError, UnicodeDecodeError):
        return Object(problem="no protobuf envelope" if encoding is Encoding.PROTOBUF else "text that is not UTF-8")
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError, OverflowError, EOFError, MemoryError):
        return Object(problem=f"does not decode as {encoding.label}")
    return Object(problem="no known encoding")


def _unwrap(value: bytes) -> tuple[bytes, bytes, bytes]:
    """The content of an envelope: API version, kind, and the object's own bytes. Raises DecodeError."""
    if value.startswith(SECRET) and value.endswith(PLAIN):
        for width in (2, 1, 3):
            raw = value[len(SECRET) + width : -len(PLAIN)]
            if value[len(SECRET) : len(SECRET) + width] == encoded_varint(len(raw)):
                return b"v1", b"Secret", raw
    unknown = pb.Unknown.FromString(value[ENVELOPE:])
    return unknown.type_meta.api_version, unknown.type_meta.kind, unknown.raw


def _protobuf(value: bytes, *, content: bool, credentials: bool) -> Object:
    api_version, kind, raw = _unwrap(value)
    if not kind:
        return Object(problem="an envelope that names no kind")
    if kind == b"Secret" and api_version == b"v1":
        secret = pb.Secret.FromString(raw)
        keys = tuple([entry_name(entry) for entry in secret.data])
        decoded = _with_meta(secret.metadata, api_version, kind, secret.type, keys)
        pairs = _pairs_of(secret) if content or credentials else []
        if credentials:
            labels = [(entry.key, entry.value) for entry in secret.metadata.labels]
            decoded = decoded._replace(valid_until=valid_until(secret.type, pairs), selectors=selectors(labels))
        return _with_content(decoded, pairs) if content else decoded
    digest = _without_metadata(raw) if content else b""
    if kind == b"ConfigMap":
        # the field numbers of a Secret; binaryData, field 3, is skipped as a foreign type
        keys = tuple([entry_name(entry) for entry in pb.Secret.FromString(raw).data])
        return _with_meta(pb.Object.FromString(raw).metadata, api_version, kind, b"", keys, digest)
    return _with_meta(pb.Object.FromString(raw).metadata, api_version, kind, content=digest)


def data(value: bytes, encoding: Encoding) -> list[tuple[bytes, bytes]]:
    """Name and bytes of every data value of a Secret; none where it does not decode. They must never be written."""
    try:
        if encoding is Encoding.PROTOBUF:
            return _pairs_of(pb.Secret.FromString(pb.Unknown.FromString(value[ENVELOPE:]).raw))
        return _pairs(parse(value, encoding))
    except (DecodeError, ValueError, RecursionError, TypeError, AttributeError, KeyError):
        return []


def leading_data(value: bytes) -> list[tuple[bytes, bytes]]:
    """The data values of a protobuf Secret without its end that are whole. They must never be written."""
    raw = dict(leading_fields(value[ENVELOPE:])).get(2, b"")
    pairs = []
    for number, entry in leading_fields(raw):
        # the last field that there is may be cut: of an entry the value's length says whether it is
        parts = list(leading_fields(entry)) if number in _DATA_FIELDS else []
        if [field for field, _ in parts] == [1, 2] and entry == b"".join(_written(*part) for part in parts):
            pairs.append((data_name(parts[0][1]), parts[1][1]))
    return pairs


def _written(number: int, content: bytes) -> bytes:
    """A field as it stands in a message."""
    return bytes([number << 3 | BYTES]) + encoded_varint(len(content)) + content


def annotations(value: bytes) -> dict[bytes, bytes]:
    """The annotations of a protobuf or JSON object; none where it does not decode."""
    try:
        if value.startswith(b"{"):
            pairs = parse(value, Encoding.JSON)["metadata"]["annotations"].items()
            return {as_bytes(name): as_bytes(text) for name, text in pairs}
        meta = pb.Object.FromString(pb.Unknown.FromString(value[ENVELOPE:]).raw).metadata
    except (DecodeError, ValueError, RecursionError, TypeError, AttributeError, KeyError):
        return {}
    return {entry.key: entry.value for entry in meta.annotations}


def tail(value: bytes) -> Object:
    """The object of a value with an overwritten head, by its end: a v1 Secret ends in its type."""
    for match in _SECRET_END.finditer(value, max(0, len(value) - LONGEST_TAIL)):
        if match[1][0] == len(match[2]):
            return Object(b"v1", b"Secret", type=match[2], problem="the head of the value is lost")
    return Object(problem="the head of the value is lost")


def _cut(value: bytes) -> Object:
    """The object of an envelope without its end: kind, metadata, and the names of the remaining data."""
    envelope = dict(leading_fields(value[ENVELOPE:]))
    type_meta, raw = dict(leading_fields(envelope.get(1, b""))), list(leading_fields(envelope.get(2, b"")))
    api_version, kind = type_meta.get(1, b""), type_meta.get(2, b"")
    part = dict(raw[:1]).get(1, b"")
    try:
        meta = pb.ObjectMeta.FromString(part)
    except DecodeError:
        leading = dict(leading_fields(part))
        meta = pb.ObjectMeta(name=leading.get(1, b""), namespace=leading.get(3, b""), uid=leading.get(5, b""))
    keys: tuple[bytes, ...] = ()
    if kind in {b"Secret", b"ConfigMap"}:
        keys = tuple(leading_name(entry) for number, entry in raw if number == 2)
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
    return Object(
        api_version=api_version,
        kind=kind,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        created=created,
        type=type_,
        data_keys=data_keys,
        content=content,
    )


def _without_metadata(raw: bytes) -> bytes:
    """The digest of an object's protobuf without its first field. Go writes maps in the order of their keys."""
    if raw[:1] != b"\x0a":
        return _digest(raw, [])
    decoded = varint_at(raw, 1, len(raw))
    return _digest(raw[sum(decoded) :] if decoded is not None else b"", [])


def _pairs_of(secret: pb.Secret) -> list[tuple[bytes, bytes]]:
    """Name and bytes of every data value."""
    pairs = [(entry_name(entry), entry.value) for entry in secret.data]
    return pairs + [(entry_name(entry), entry.value) for entry in secret.string_data] if secret.string_data else pairs


def _pairs(tree: Any) -> list[tuple[bytes, bytes]]:
    """Name and bytes of every data value of a Secret in JSON or CBOR; stringData is no base64."""
    pairs = [(data_name(as_bytes(name)), data_value(text)) for name, text in (tree.get("data") or {}).items()]
    more = (tree.get("stringData") or {}).items()
    return pairs + [(data_name(as_bytes(name)), as_bytes(text)) for name, text in more]


def _with_content(secret: Object, pairs: list[tuple[bytes, bytes]]) -> Object:
    """A Secret with the digests of its data."""
    values = tuple(zip([name for name, _ in pairs], digests([value for _, value in pairs]), strict=True))
    return secret._replace(content=_digest(secret.type, values), values=values)


def _tree(tree: Any, *, content: bool, credentials: bool) -> Object:
    """An object from JSON or CBOR. content, credentials: as in decode()."""
    if not isinstance(tree, dict) or not isinstance(tree.get("kind"), (str, bytes)):
        return Object(problem="an object that names no kind")
    meta = tree.get("metadata")
    meta = meta if isinstance(meta, dict) else {}
    data = tree.get("data")
    kind, api_version = as_bytes(tree["kind"]), as_bytes(tree.get("apiVersion"))
    keys: tuple[bytes, ...] = ()
    if kind in {b"Secret", b"ConfigMap"} and isinstance(data, dict):
        keys = tuple(sorted(data_name(as_bytes(key)) for key in data))
    end = ""
    selected: tuple[str, ...] = ()
    if kind == b"Secret" and credentials:
        end = valid_until(as_bytes(tree.get("type")), _pairs(tree))
        labels = meta.get("labels")
        if isinstance(labels, dict):
            selected = selectors([(as_bytes(key), as_bytes(value)) for key, value in labels.items()])
    created = seconds(meta.get("creationTimestamp"))
    namespace, name, uid = (as_bytes(meta.get(text)) for text in ("namespace", "name", "uid"))
    decoded = Object(
        api_version=api_version,
        kind=kind,
        namespace=namespace,
        name=name,
        uid=uid,
        created=created,
        type=as_bytes(tree.get("type")),
        data_keys=keys,
        valid_until=end,
        selectors=selected,
    )
    if not content:
        return decoded
    if kind == b"Secret":
        return _with_content(decoded, _pairs(tree))
    rest = {key: part for key, part in tree.items() if key != "metadata"}
    text = json.dumps(rest, sort_keys=True, default=repr).encode("utf-8", "surrogatepass")
    return decoded._replace(content=_digest(text, []))


def _digest(head: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The digest of a type and data, in any order of the pairs. Lengths separate the parts."""
    digest = hashlib.blake2b(head, digest_size=16)
    for key, value in sorted(pairs):
        digest.update(b"%d:%d:%b%b" % (len(key), len(value), key, value))
    return digest.digest()
