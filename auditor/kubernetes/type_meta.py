"""What readable values say they are, decoded as Go decodes it, whatever the first bytes look like.

k8s.io/apimachinery pkg/runtime/generated.pb.go (Unknown and TypeMeta: fields in any order, the last of two, messages
merged, unknown ones and groups skipped, varints of up to ten bytes), serializer/json/meta.go, serializer/cbor.
"""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer, varints
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import parallel_for
from auditor.evidence.protobuf_wire import BYTES, FIXED32, FIXED64, VARINT, WireError, varint
from auditor.kubernetes import cbor_items, json_text, trees
from auditor.model.vocabulary import Encoding

KINDS = {b"Secret": "secrets", b"ConfigMap": "configmaps"}
LIST = b"List"
"""The end of the kind that holds several objects of one: each of them is readable in it."""
PORTION = 1 << 13
"""Values that are looked at together: their columns stay in the processor's cache."""
ENVELOPE = 4
"""Bytes of `k8s\\0`."""
_START, _END = 3, 4
"""Wire types of a group."""
_WORD, _INT32 = (1 << 64) - 1, (1 << 32) - 1
"""Go keeps so many bits of a varint, and of a field's number."""
_FIXED = {FIXED64: 8, FIXED32: 4}
_V1 = frozenset({b"v1", b"/v1"})
"""apiVersions of the core group's v1 (apimachinery pkg/runtime/schema/group_version.go, ParseGroupVersion)."""
_TAIL = np.uint64(int.from_bytes(b"\x1a\0\x22\0", "little"))
"""How Go ends an envelope: an empty encoding and an empty content type."""
_SPELT = {
    Encoding.JSON: re.compile(rb"\\u00[4-7]"),
    Encoding.CBOR: re.compile(rb"[\x5f\x7f][\x40-\x5b\x60-\x7b]"),
}
"""How a kind may be written without its letters side by side: an escape of a letter, a string in chunks."""
_ESCAPE = b"\\u00"
_STRING = re.compile(rb"[\x46\x66]Secret")
"""A whole string of CBOR."""


class TypeMeta(NamedTuple):
    """What a value says of its type."""

    api_version: bytes = b""
    kind: bytes = b""
    whole: bool = False
    """Whether the value decodes as far as its type is concerned; else this is what its leading part says."""
    binary: bool = False
    """Whether nobody but Kubernetes writes such a value."""

    @property
    def mixed(self) -> bool:
        """Whether it is a v1 List, whose items say what they are."""
        return self.kind == LIST and self.api_version in _V1

    @property
    def resource(self) -> str:
        """The resource of KINDS whose objects say so; empty for any other."""
        unsaid = not self.api_version and (self.binary or not self.whole)
        return KINDS.get(self.kind.removesuffix(LIST), "") if unsaid or self.api_version in _V1 else ""


def of(value: bytes, encoding: Encoding) -> TypeMeta:
    """The type that a readable value states. Never raises."""
    if encoding is Encoding.PROTOBUF:
        return _protobuf(value)
    if encoding is Encoding.CBOR:
        texts, whole = cbor_items.leading(value, len(trees.SELF_DESCRIBED))
    else:
        texts, whole = _json(value)
    kind, version = (texts.get(name, "").encode("utf-8", "surrogatepass") for name in ("kind", "apiVersion"))
    return TypeMeta(version, kind, whole)


def may_say(value: bytes, encoding: Encoding, kinds: Collection[bytes]) -> bool:
    """Whether JSON or CBOR may name one of these kinds at all: what cannot need not be decoded."""
    if any(kind in value for kind in kinds):
        return True
    return (encoding is Encoding.CBOR or _ESCAPE in value) and _SPELT[encoding].search(value) is not None


def lists_secret(value: bytes, encoding: Encoding) -> bool:
    """Whether the items of a v1 List, which kube-apiserver stores nowhere, are Secrets, one at least. Never raises."""
    if encoding is Encoding.PROTOBUF:
        return b"Secret" in value
    try:
        tree = trees.parse(value, encoding)
    except (ValueError, RecursionError, MemoryError):
        return False
    items = tree.get("items") if isinstance(tree, dict) else None
    return isinstance(items, list) and any(isinstance(each, dict) and each.get("kind") == "Secret" for each in items)


def names_secret(value: bytes) -> bool:
    """Whether CBOR that does not decode holds the kind of a Secret as a string."""
    return _STRING.search(value) is not None


def canonical(buffer: Buffer, at: Ints, size: Ints, cut: Bools) -> tuple[Bools, Ints]:
    """Which protobuf values begin and end as Go writes an envelope, and where the kind's length stands in those.

    Args:
        buffer: The bytes.
        at: Positions of the values.
        size: Their bytes.
        cut: Which have lost a part: of these the beginning decides.
    """
    regular, kind_at = np.zeros(at.size, np.bool_), np.zeros(at.size, np.int64)

    def work(part: slice) -> None:
        regular[part], kind_at[part] = _canonical(buffer, at[part], size[part], cut[part])

    parallel_for(at.size, work, size=PORTION)
    return regular, kind_at


def _canonical(buffer: Buffer, at: Ints, size: Ints, cut: Bools) -> tuple[Bools, Ints]:
    byte, end = np.uint64(0xFF), at + size
    words = buffer.words(at + ENVELOPE)
    typed = ((words >> np.uint64(8)) & byte).astype(np.int64)
    version = ((words >> np.uint64(24)) & byte).astype(np.int64)
    good = ((words & np.uint64(0xFF00FF)) == np.uint64(0x0A000A)) & (typed < 0x80) & (version < typed)
    kind_at = at + ENVELOPE + 5 + np.where(good, version, 0)
    words = buffer.words(kind_at - 1)
    kind = ((words >> np.uint64(8)) & byte).astype(np.int64)
    good &= ((words & byte) == np.uint64(0x12)) & (kind + version + 4 == typed)
    raw_at = np.where(good, at + ENVELOPE + 2 + typed, at)
    good &= (raw_at < end) | cut
    words = buffer.words(raw_at)
    length, width = varints(words >> np.uint64(8))
    shortest = (width == 1) | (length >> (7 * np.maximum(width - 1, 0)) > 0)
    stop = raw_at + 1 + width + np.where(width > 0, length, 0)
    whole = ((words & byte) == np.uint64(0x12)) & (width > 0) & (width < 8) & shortest & (stop + 4 == end)
    rows = np.flatnonzero(good & whole)
    whole[rows] = (buffer.words(stop[rows]) & np.uint64(_INT32)) == _TAIL
    return good & (whole | cut), kind_at


def _json(value: bytes) -> tuple[dict[str, str], bool]:
    try:
        tree = trees.parse(value, Encoding.JSON)
    except (ValueError, RecursionError, MemoryError):
        return json_text.leading(value), False
    if not isinstance(tree, dict):
        return {}, True
    return {name: text for name in json_text.NAMES if isinstance(text := tree.get(name), str)}, True


def _protobuf(value: bytes) -> TypeMeta:
    texts = {1: b"", 2: b""}
    try:
        for number, content in _fields(value[ENVELOPE:]):
            for field, text in _fields(content) if number == 1 else ():
                if field in texts:
                    texts[field] = text
    except WireError:
        return TypeMeta(texts[1], texts[2], whole=False, binary=True)
    return TypeMeta(texts[1], texts[2], whole=True, binary=True)


def _fields(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of the length-delimited fields of a message. Raises WireError behind the last that is one."""
    at, groups, end = 0, 0, len(raw)
    while at < end:
        tag, at = varint(raw, at, end)
        number, wire_type = (tag & _WORD) >> 3 & _INT32, tag & 7
        if not number or (wire_type == _END and not groups):
            raise WireError
        if wire_type == BYTES:
            size, at = varint(raw, at, end)
            size &= _WORD
            if size > end - at:
                raise WireError
            if not groups:
                yield number, raw[at : at + size]
            at += size
        elif wire_type == VARINT:
            _, at = varint(raw, at, end)
        elif wire_type in _FIXED:
            at += _FIXED[wire_type]
        elif wire_type in {_START, _END}:
            groups += 1 if wire_type == _START else -1
        else:
            raise WireError
    if groups or at > end:
        raise WireError
