"""Payloads that claim encryption and are readable: an object in any form behind an encrypting prefix is no ciphertext.

Columns pick the few that begin as a text, an envelope or an object does; those are decoded. What a cipher writes is
random from its first byte on: it is none of these but once in more values than a cluster ever stores.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from google.protobuf.message import DecodeError

from auditor.arrays.buffer import Buffer, varints
from auditor.arrays.dtypes import Bools, Ints, Words
from auditor.evidence.batch import RecordBatch
from auditor.evidence.protobuf_wire import BYTES, VARINT
from auditor.kubernetes import type_meta
from auditor.kubernetes.prefixes import AMBIGUOUS, CBOR, PROTOBUF, Prefixes
from auditor.model.vocabulary import Encoding, Provider
from auditor.protobuf import kubernetes_pb2 as pb

HEAD = 64
"""Bytes that are a text, of a payload that is one: of a shorter one all."""
LEAST = 24
"""Bytes of the shortest text that is told: so many random ones are printable once in 10^10 values."""
LEAST_NAMES = 6
"""Letters in an object's metadata and in the names of its data, without which random bytes may decode as one."""
_MAGIC = (b"\x1f\x8b\x08\0", b"\x1f\x8b\x08\x08", b"\xfd7zX", b"\x28\xb5\x2f\xfd", b"\xff\xfe{\0", b"\xfe\xff\0{")
"""How gzip, xz, zstd and JSON in UTF-16 begin: nothing that a cipher writes."""
_NAMES = re.compile(rb"[!-~]*")
_BYTE = np.uint64(0xFF)
_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_LOW = ~_HIGH
_MAP = 5
"""CBOR's major type of a map."""
_UNTAGGED = re.compile(
    rb"[\xa1-\xb7\xbf](?:[\x44\x64](?:kind|data|type)|[\x4a\x6a](?:apiVersion|stringData)|[\x48\x68]metadata|[\x49\x69]immutable)"
)
"""A map of CBOR without its tag, by the first field of an object."""
_LENGTHS = np.array([0x44, 0x64, 0x4A, 0x6A, 0x48, 0x68, 0x49, 0x69], np.uint64)
"""The lengths of these names, of bytes and of text."""
HOPS = 4
"""Fields of a message that are followed before it is decoded: of random bytes few have as many that fit."""
_BLANKS = b" \t\r\n"
_SIZES: Ints = np.array([0, 8, 0, 0, 0, 4, 0, 0], np.int64)
"""Bytes of the content of each wire type, where they are fixed."""
_LONGEST_TAG = 6
"""Bytes of a tag, and one."""


def refused(batch: RecordBatch, claims: Prefixes) -> Prefixes:
    """The same claims, those malformed too whose payload needs no key."""
    rows = np.flatnonzero(((claims.name_len >= 0) | (claims.name_len == AMBIGUOUS)) & ~claims.malformed)
    if not rows.size:
        return claims
    malformed = claims.malformed.copy()
    end = batch.value_at[rows] + batch.value_size[rows]
    for part, at, stop in _contents(batch.data, rows, claims, end):
        picked = np.flatnonzero(_suspicious(batch.data, at, stop))
        for number in picked.tolist():
            begin = int(at[number])
            if readable(batch.data.slice(begin, int(stop[number]) - begin)):
                malformed[part[number]] = True
    return replace(claims, malformed=malformed) if malformed.any() else claims


def readable(payload: bytes) -> bool:
    """Whether a payload is an object, or begins as a text: UTF-8 without control characters."""
    if payload.startswith((PROTOBUF, *_MAGIC)):
        return True
    if payload.startswith(CBOR) and payload[len(CBOR) :][:1] and payload[len(CBOR)] >> 5 == _MAP:
        return True
    if _UNTAGGED.match(payload):
        return True
    if (text := payload.lstrip(_BLANKS)).startswith(b"{") and text[1:].lstrip(_BLANKS)[:1] in {b'"', b"}"}:
        stated = type_meta.of(text, Encoding.JSON)
        if stated.whole or stated.kind:
            return True
    return _is_text(payload) or _is_object(payload)


def _contents(buffer: Buffer, rows: Ints, claims: Prefixes, end: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Rows, begin and end of what may be readable in these values: the payload, and what a KMS' framing holds."""
    at, named = claims.name_at[rows], claims.name_len[rows]
    start = at + np.where(named >= 0, named, 0) + 1
    unclear = np.flatnonzero(named == AMBIGUOUS)
    if unclear.size:  # behind the first colon: the longest payload that there can be
        start[unclear] = at[unclear] + buffer.find(at[unclear], end[unclear] - at[unclear], ord(":")) + 1
    yield rows, start, end
    kind = claims.provider[rows]
    inner = np.flatnonzero(kind == Provider.KMS_V1)
    words = buffer.words(start[inner])
    key_size = ((words & _BYTE) << np.uint64(8) | (words >> np.uint64(8) & _BYTE)).astype(np.int64)
    yield rows[inner], np.minimum(start[inner] + 2 + key_size, end[inner]), end[inner]
    inner = np.flatnonzero(kind == Provider.KMS_V2)
    length, width = varints(buffer.words(start[inner] + 1))
    begin = start[inner] + 1 + width
    yield rows[inner], np.minimum(begin, end[inner]), np.minimum(begin + length, end[inner])


def _suspicious(buffer: Buffer, at: Ints, end: Ints) -> Bools:
    """Which payloads may be readable, by their first bytes: few ciphertexts in a hundred."""
    words, size = buffer.words(at), end - at
    begins = [int.from_bytes(magic, "little") for magic in (PROTOBUF, *_MAGIC)]
    picked: Bools = np.isin((words & np.uint64(0xFFFFFFFF)).astype(np.uint32), np.array(begins, np.uint32))
    picked |= (words & np.uint64(0xFFFFFF)) == np.uint64(int.from_bytes(CBOR, "little"))
    picked |= ((words & np.uint64(0xE0)) == np.uint64(_MAP << 5)) & np.isin(words >> np.uint64(8) & _BYTE, _LENGTHS)
    picked |= (words & _BYTE) == np.uint64(ord("{"))
    texts = np.flatnonzero(_printable(words) & (size >= LEAST))
    for further in range(8, LEAST, 8):
        texts = texts[_printable(buffer.words(at[texts] + further))]
    picked[texts] = True
    picked[_messages(buffer, at, end)] = True
    picked &= size > 0
    return picked


def _messages(buffer: Buffer, at: Ints, end: Ints) -> Ints:
    """Rows of the payloads that begin with HOPS fields of protobuf, or are fewer to their last byte."""
    rows, begin, whole = np.flatnonzero(at < end), at[at < end], []
    for _ in range(HOPS):
        tag, width = varints(buffer.words(begin))
        number, after = varints(buffer.words(begin + width))
        wire_type = tag & 7
        size = np.where(wire_type == BYTES, after + number, _SIZES[wire_type])
        size = np.where(wire_type == VARINT, after, size)
        fits = (
            (width > 0) & (width < _LONGEST_TAG) & (tag > wire_type) & (size > 0) & ((after > 0) | (wire_type & 1 == 1))
        )
        begin = begin + width + size
        fits &= begin <= end[rows]
        done = fits & (begin == end[rows])
        whole.append(rows[done])
        rows, begin = rows[fits & ~done], begin[fits & ~done]
    return np.concatenate((*whole, rows))


def _printable(words: Words) -> Bools:
    """Which words hold no control characters but those of a text."""
    # exact byte by byte, without a borrow: the high bit is set where a byte is none below 0x20
    control = ~(((words & _LOW) + np.uint64(0x60) * _ONES) | words) & _HIGH
    for octet in _BLANKS[1:]:
        difference = words ^ (np.uint64(octet) * _ONES)
        control &= ((difference & _LOW) + _LOW) | difference
    printable: Bools = control == 0
    return printable


def _is_text(payload: bytes) -> bool:
    head = payload[:HEAD]
    if len(head) < LEAST:
        return False
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3 or len(payload) <= HEAD:
            return False
        text = head[: error.start].decode("utf-8")  # the last letter goes on behind the head
    return all((letter >= " " and letter != "\x7f") or letter in "\t\r\n" for letter in text)


def _is_object(payload: bytes) -> bool:
    """Whether a payload decodes as the object of an envelope: metadata, and of a Secret the names of its data."""
    try:
        thing = pb.Secret.FromString(payload)
    except DecodeError:
        return False
    meta = thing.metadata
    texts = [meta.name, meta.namespace, meta.uid, thing.type]
    texts += [entry.key for entry in (*thing.data, *thing.string_data)]
    return sum(map(len, texts)) >= LEAST_NAMES and all(_NAMES.fullmatch(text) for text in texts)
