"""The ledger of a row's value: one envelope, one document, or a prefix and a payload in its provider's own framing.

What stands beside or behind is of no account: it is carved, and becomes a fragment beside the row.
Formats: k8s.io/apimachinery pkg/runtime/generated.proto (Unknown); k8s.io/apiserver pkg/storage/value/encrypt/
envelope/kmstypes/v2/api.proto and kmsv2/envelope.go (the bounds of EncryptedObject). The lengths of aescbc's, aesgcm's,
secretbox's and KMS v1's payloads are prefixes.py's: what is behind their heads is ciphertext.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Bytes, Ints
from auditor.arrays.parallel import parallel_for
from auditor.evidence import carve, ledger
from auditor.evidence.batch import RecordBatch
from auditor.evidence.etcd import wire
from auditor.evidence.protobuf_wire import BYTES, VARINT, WireError, fields
from auditor.kubernetes import trees
from auditor.kubernetes.prefixes import LONGEST_KEK_ID, PROTOBUF, Prefixes
from auditor.model.vocabulary import Encoding, Place, Provider, State

LOST = np.uint8(State.HEAD_LOST | State.TAIL_LOST | State.BAD_CHECKSUM)
"""What of a value is left may end anywhere."""
TORN = (Place.FREED, Place.SLACK, Place.UNPLACED)
"""Where pages of several times may lie side by side: a value there may end as another one does."""
UNKNOWN_FIELDS = (b"\x0a", b"\x12", b"\x1a", b"\x22")
"""Of runtime.Unknown: type, object, encoding and type of the content."""
_UNNAMED = b"\x1a\x00\x22\x00"
_TAIL = np.uint64(int.from_bytes(_UNNAMED, "little"))
"""The last two of them where they are empty: the end of what kube-apiserver writes."""
SEALED_FIELDS = (b"\x0a", b"\x12", b"\x1a", b"\x22", b"\x28")
"""Of EncryptedObject: data, key id, wrapped key, one annotation, the kind of key."""
LONGEST_TYPE = 256
"""Bytes of an apiVersion, of a kind, of a content's type."""
LONGEST_SOURCE = 1024
"""Bytes of the longest wrapped key that kube-apiserver stores (kmsv2/envelope.go, encryptedDEKSourceMaxSize)."""
LONGEST_ANNOTATIONS = 32 << 10
"""Bytes of all annotations (kmsv2/envelope.go, annotationsMaxSize)."""
_MAY_FOLLOW: Bools = np.isin(np.arange(256), np.frombuffer(b" \t\r\n,}]", np.uint8))
"""What may stand behind a closing brace inside a document."""
_BLANKS = b" \t\r\n"


def beside(batch: RecordBatch, claims: Prefixes) -> Iterator[RecordBatch]:
    """What values hold beside their one envelope, document or payload, as fragments of the same buffer.

    Values that have lost a part are left out: where they end is not known.
    """
    if not ledger.enabled:
        return
    whole = ((batch.state & LOST) == 0) & (batch.key_at >= 0) & (batch.value_len > 0)
    whole &= ~np.isin(batch.place, TORN)
    parts: dict[int, list[tuple[int, int]]] = {}
    for encoding, find in ((Encoding.PROTOBUF, _envelopes), (Encoding.JSON, _documents), (Encoding.CBOR, _items)):
        rows = np.flatnonzero(whole & (claims.encoding == encoding))
        parts |= find(batch, rows)
    sealed = (claims.provider == Provider.KMS_V2) & ~claims.malformed & (claims.name_len >= 0)
    parts |= _sealed(batch, np.flatnonzero(whole & sealed), claims)
    for row, pieces in sorted(parts.items()):
        # a field that is one too many may hold others that are
        starts, ends = ledger.merged(ledger.Intervals(*np.array(sorted(pieces), np.int64).reshape(-1, 2).T))
        if carved := carve.search(batch.data, starts.tolist(), ends.tolist(), fragments=True):
            yield _fragments(batch, row, carve.batch(batch.data, batch.source, carved, Place.SLACK))


def _fragments(batch: RecordBatch, row: int, fragments: RecordBatch) -> RecordBatch:
    """Fragments of a value, where that lies."""
    place = np.full(len(fragments), batch.place[row], np.uint8)
    page = np.full(len(fragments), batch.page[row], np.int64)
    fragments = replace(fragments, mapped=batch.mapped, place=place, page=page)
    if batch.mapped:
        return fragments
    begin = int(batch.value_at[row])
    spans = [
        batch.part(row, at - begin, length)
        for at, length in zip(fragments.value_at.tolist(), fragments.value_len.tolist(), strict=True)
    ]
    stored_at, stored_len = np.array(spans, np.int64).reshape(-1, 2).T
    return replace(fragments, stored_at=stored_at.copy(), stored_len=stored_len.copy())


def _envelopes(batch: RecordBatch, rows: Ints) -> dict[int, list[tuple[int, int]]]:
    """What stands beside the fields of runtime.Unknown, each once, in the values that begin as an envelope."""
    buffer, at = batch.data, batch.value_at[rows] + len(PROTOBUF)
    end = batch.value_at[rows] + batch.value_size[rows]
    regular = np.zeros(rows.size, np.bool_)

    def check(part: slice) -> None:
        # kube-apiserver names neither encoding nor type of the content, and writes both: two fields less to read
        unnamed = (end[part] - at[part] > len(_UNNAMED)) & (
            buffer.words(np.maximum(end[part] - 8, 0)) >> np.uint64(32) == _TAIL
        )
        for chosen, tags in ((unnamed, UNKNOWN_FIELDS[:2]), (~unnamed, UNKNOWN_FIELDS)):
            some = np.flatnonzero(chosen)
            if not some.size:
                continue
            stop = end[part][some] - (len(_UNNAMED) if chosen is unnamed else 0)
            plain, (kind, _, *named) = wire.messages(buffer, at[part][some], stop, tags)
            typed, names = wire.messages(buffer, kind.value, kind.stop, (b"\x0a", b"\x12"))
            plain &= typed
            for text in (*names, *named):
                plain &= _text(buffer, text.value, text.stop)
            regular[part.start + some] = plain

    parallel_for(rows.size, check, size=1 << 13)
    return {int(rows[row]): _beside(buffer, int(at[row]), int(end[row])) for row in np.flatnonzero(~regular)}


def _beside(buffer: Buffer, at: int, end: int) -> list[tuple[int, int]]:
    """The bytes of an envelope that are none of its fields, in its TypeMeta too."""
    pieces = _unread(buffer, at, end, dict.fromkeys((1, 2, 3, 4), BYTES))
    with suppress(WireError):
        raw = buffer.slice(at, end - at)
        for number, wire_type, start, stop in fields(raw, 0, len(raw)):
            if (number, wire_type) == (1, BYTES):
                pieces += _unread(buffer, at + start, at + stop, {1: BYTES, 2: BYTES})
    return pieces


def _sealed(batch: RecordBatch, rows: Ints, claims: Prefixes) -> dict[int, list[tuple[int, int]]]:
    """What stands beside the fields of EncryptedObject, each once and in Kubernetes' bounds, in KMS v2's values."""
    buffer, at = batch.data, claims.name_at[rows] + claims.name_len[rows] + 1
    end = batch.value_at[rows] + batch.value_size[rows]
    regular, (_, key_id, source, annotation, _) = wire.messages(buffer, at, end, SEALED_FIELDS)
    regular &= (key_id.stop - key_id.value <= LONGEST_KEK_ID) & (source.stop - source.value <= LONGEST_SOURCE)
    regular &= ~annotation.present
    known = {1: BYTES, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT}
    parts = {}
    for row in np.flatnonzero(~regular).tolist():
        if pieces := _unread(buffer, int(at[row]), int(end[row]), known, repeated=4):
            parts[int(rows[row])] = pieces
    return parts


def _text(buffer: Buffer, start: Ints, stop: Ints) -> Bools:
    length = stop - start
    return (length <= LONGEST_TYPE) & wire.printable(buffer, start, length)


def _unread(buffer: Buffer, at: int, end: int, known: Mapping[int, int], repeated: int = 0) -> list[tuple[int, int]]:
    """The bytes of a message that are none of these fields, each once; all from where it does not decode.

    Args:
        buffer: The bytes.
        at: Where the message begins.
        end: Where it ends.
        known: The wire type of each field.
        repeated: The field that may stand several times, of LONGEST_ANNOTATIONS in all.
    """
    raw = buffer.slice(at, end - at)
    seen: set[int] = set()
    pieces: list[tuple[int, int]] = []
    begin = annotations = 0
    try:
        for number, wire_type, start, stop in _located(raw):
            again = number in seen and number != repeated
            annotations += stop - start if number == repeated else 0
            if (
                known.get(number) != wire_type
                or again
                or annotations > LONGEST_ANNOTATIONS
                or _too_long(number, stop - start, repeated)
            ):
                pieces.append((at + begin, at + stop))
            seen.add(number)
            begin = stop
    except WireError:
        if not begin:
            return []  # no message at all: the row itself is what cannot be told
        pieces.append((at + begin, end))
    return pieces


def _too_long(number: int, length: int, repeated: int) -> bool:
    """Whether a field is longer than Kubernetes writes it. repeated: 4 in an EncryptedObject, 0 in an envelope."""
    if repeated:
        return number in (2, 3) and length > LONGEST_SOURCE
    return number in (1, 3, 4) and length > 2 * LONGEST_TYPE


def _located(raw: bytes) -> Iterator[tuple[int, int, int, int]]:
    """The fields of a message, of a varint where it stands too."""
    begin = 0
    for number, wire_type, start, stop in fields(raw, 0, len(raw)):
        if wire_type == VARINT:
            while raw[begin] & 0x80:  # the tag, then the number
                begin += 1
            start = stop = begin + 1
            while raw[stop] & 0x80:
                stop += 1
            stop += 1
        yield number, wire_type, start, stop
        begin = stop


def _documents(batch: RecordBatch, rows: Ints) -> dict[int, list[tuple[int, int]]]:
    """What stands behind the first JSON document of values.

    Few are decoded for it: a document ends in its brace, and but in texts only commas and braces follow the other ones.
    """
    parts = {}
    at, end = batch.value_at[rows].tolist(), (batch.value_at[rows] + batch.value_size[rows]).tolist()
    for row, start, stop in zip(rows.tolist(), at, end, strict=True):
        octets = batch.data.data[start:stop]
        closed = octets[:-1] == ord("}")
        if int(octets[-1]) in b"}\n" and not (closed & ~_MAY_FOLLOW[octets[1:]]).any() and not _apart(octets):
            continue
        if (length := document_length(octets.tobytes())) and octets[length:].tobytes().strip(_BLANKS):
            parts[row] = [(start + length, stop)]
    return parts


def _apart(octets: Bytes) -> bool:
    """Whether blanks stand behind a brace, and what follows them may be another document."""
    blank = _BLANK[octets]
    return bool(((octets[:-1] == ord("}")) & blank[1:])[:-1].any())


_BLANK: Bools = np.isin(np.arange(256), np.frombuffer(_BLANKS, np.uint8))


def document_length(value: bytes) -> int:
    """Bytes of the JSON document that a value begins with; 0 where there is none."""
    try:
        text = value.decode("utf-8", "surrogateescape")  # what follows it may be no text
        _, length = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return 0
    return len(text[:length].encode("utf-8", "surrogateescape"))


def _items(batch: RecordBatch, rows: Ints) -> dict[int, list[tuple[int, int]]]:
    """What stands behind the first item of values in CBOR."""
    parts = {}
    for row in rows.tolist():
        value, start = batch.value(row), int(batch.value_at[row])
        if 0 < (length := trees.item_length(value)) < len(value):
            parts[row] = [(start + length, start + len(value))]
    return parts
