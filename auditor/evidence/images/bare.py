"""Values of which nothing but their own bytes is left: accepted where what they begin with holds together.

Anything may write `k8s:enc:` or a brace: a program's strings, its documents, a manifest. What is taken for a stored
value has the form that kube-apiserver gives to one.
Formats: Kubernetes apimachinery pkg/runtime/generated.proto (Unknown, TypeMeta), pkg/apis/meta/v1 (ObjectMeta: every
stored object has a uid and a time of creation); apiserver pkg/server/options/encryptionconfig/config.go (prefixes).
"""

import json
import re

from auditor.arrays.buffer import Buffer
from auditor.evidence.headless import CarvedRecord, envelope_length
from auditor.model.vocabulary import State

BLOCK = 4096
"""Bytes within which nothing is torn: a block of a file system, a page of memory."""
LARGEST = 16 << 20
"""Bytes of a value, at most: etcd takes requests of 1.5 MB, and can be told to take larger ones."""
ENDING = b"\x1a\0\x22\0"
"""The last bytes of an Unknown: its two last fields, both empty."""
_TYPE = re.compile(
    rb"k8s\0\n.\n.[a-z0-9][a-z0-9.-]{0,120}(?:/[a-z0-9]{1,24})?\x12.[A-Z][A-Za-z0-9]{0,62}\x12", re.DOTALL
)
_ENCRYPTED = re.compile(rb"k8s:enc:[a-z0-9]{1,16}:v[0-9]{1,2}:[!-9;-~][!-~]{0,253}?:")
_PAYLOAD = 32
"""Bytes of the shortest payload, about: an initialization vector, and a block."""
_SEALED = 8
"""Bytes among these that are no text, at least: of 32 random ones 20 are."""
SMALLEST = 48
"""Bytes of a bare value, at least: what another signature follows sooner is a list of them."""
_JSON = re.compile(
    rb'\{(?:"kind":"[A-Z][A-Za-z0-9]{0,62}","apiVersion":"[a-z0-9./-]{1,150}"'
    rb'|"apiVersion":"[a-z0-9./-]{1,150}","kind":"[A-Z][A-Za-z0-9]{0,62}"),"metadata":\{"'
)
_UID = re.compile(rb'"uid":"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"')
_CREATED = b'"creationTimestamp":"'
_GROWTH = (1 << 13, 1 << 16, 1 << 19, 1 << 21)
"""Bytes of an object in JSON that are decoded at first, and if it does not end in them."""


class BareValues:
    """The bare values of one buffer. `spent` are the bytes of JSON that were decoded: whoever asks bounds them."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self.spent = 0

    def at(self, begin: int, end: int) -> CarvedRecord | None:
        """The value that begins at a signature; None where none does.

        Args:
            begin: Where the signature begins.
            end: Where the value ends at the latest.
        """
        head = self._buffer.slice(begin, 512)
        if head.startswith(b"k8s\0"):
            return self._protobuf(head, begin, end)
        return self._encrypted(head, begin, end) if head.startswith(b"k8s:") else self._json(head, begin, end)

    def _protobuf(self, head: bytes, begin: int, end: int) -> CarvedRecord | None:
        match = _TYPE.match(head)
        if match is None or not _type_fits(match[0]):
            return None
        length = envelope_length(head[:512])
        stop = begin + length
        if 0 < length <= LARGEST and stop <= end and self._buffer.slice(stop - len(ENDING), len(ENDING)) == ENDING:
            return _record(begin, stop, State.HEAD_LOST)
        limit = min(stop, end) if length else end
        return self._cut(begin, limit)

    def _encrypted(self, head: bytes, begin: int, end: int) -> CarvedRecord | None:
        match = _ENCRYPTED.match(head)
        if match is None:
            return None
        payload = head[match.end() : match.end() + _PAYLOAD]
        texts = sum(32 <= octet < 127 or octet in b"\t\r\n\0" for octet in payload)
        if len(payload) < _PAYLOAD or _PAYLOAD - texts < _SEALED:
            return None
        return self._cut(begin, end)

    def _json(self, head: bytes, begin: int, end: int) -> CarvedRecord | None:
        if _JSON.match(head) is None:
            return None
        near = self._buffer.slice(begin, _GROWTH[0])
        if _UID.search(near) is None or _CREATED not in near:
            return None
        for size in _GROWTH:
            raw = self._buffer.slice(begin, min(size, end - begin))
            self.spent += len(raw)
            text = raw.decode("utf-8", "surrogateescape")
            try:
                document, length = json.JSONDecoder().raw_decode(text)
            except (ValueError, RecursionError):
                if len(raw) < size or b"\0" in raw:
                    break
                continue
            metadata = document.get("metadata") if isinstance(document, dict) else None
            if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
                return None
            return _record(begin, begin + len(text[:length].encode("utf-8", "surrogateescape")), State.HEAD_LOST)
        return self._cut(begin, end)

    def _cut(self, begin: int, end: int) -> CarvedRecord:
        """The part of a value up to the end of its block: what follows may be anything's."""
        stop = min(end, (begin // BLOCK + 1) * BLOCK)
        length = len(self._buffer.slice(begin, stop - begin).rstrip(b"\0"))
        return _record(begin, begin + length, State.HEAD_LOST | State.TAIL_LOST)


def _type_fits(head: bytes) -> bool:
    """Whether the lengths of a TypeMeta are those of its two texts. head: up to the tag of the object behind it."""
    version = head[7]
    kind_at = 8 + version + 2
    return (
        head[5] == len(head) - 7
        and head[8 + version : 9 + version] == b"\x12"
        and (kind_at <= len(head) and head[kind_at - 1] == len(head) - 1 - kind_at)
    )


def _record(begin: int, end: int, state: State) -> CarvedRecord:
    return CarvedRecord(begin, end, value_at=begin, value_len=end - begin, state=state)
