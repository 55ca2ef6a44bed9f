"""What raft keeps: log entries with the requests that they carry, and raft snapshots.

Sources: go.etcd.io/raft raftpb/raft.proto (Entry, HardState), etcd api/etcdserverpb/raft_internal.proto
(InternalRaftRequest) and rpc.proto (PutRequest, TxnRequest, RequestOp), server/etcdserver/api/snap/snappb/snap.proto.
"""

from typing import NamedTuple

import crc32c

from auditor.arrays.buffer import Buffer
from auditor.evidence.protobuf_wire import BYTES, VARINT, WireError, fields
from auditor.model.evidence import Gap

NORMAL = 0
DEEPEST = 16
V2_METHODS = frozenset({b"PUT", b"POST", b"DELETE", b"QGET", b"GET", b"HEAD", b"SYNC"})
PASSWORDS = {1012: 2, 1100: 2, 1103: 2}
"""Requests with a password in clear, and its field: authenticate up to 3.2, user add and change up to 3.4."""


class Put(NamedTuple):
    """Positions and lengths of a put's key and value, from the start of the bytes that were walked."""

    key_at: int
    key_len: int
    value_at: int
    value_len: int


class Entry(NamedTuple):
    """One log entry. puts: those of its request; passwords: requests with one in clear."""

    raft_index: int
    term: int
    puts: tuple[Put, ...]
    passwords: int


def entry(raw: bytes, at: int, end: int) -> Entry:
    """The raftpb.Entry in raw[at:end]. Raises WireError where it, or the request in it, does not decode."""
    kind = term = index = 0
    data: tuple[int, int] | None = None
    for number, form, value, stop in fields(raw, at, end):
        if form == VARINT:
            if number == 1:
                kind = value
            elif number == 2:
                term = value
            elif number == 3:
                index = value
        elif number == 4 and form == BYTES:
            data = value, stop
    if kind != NORMAL or data is None or data[0] == data[1]:
        return Entry(index, term, (), 0)
    puts, passwords = _request(raw, *data)
    return Entry(index, term, tuple(puts), passwords)


def _request(raw: bytes, at: int, end: int) -> tuple[list[Put], int]:
    """The puts of an InternalRaftRequest; none of a v2 Request, which is what etcd up to 3.6 may log beside it."""
    parts = list(fields(raw, at, end))
    for number, form, start, stop in parts:
        if number == 2 and form == BYTES and raw[start:stop] in V2_METHODS:
            return [], 0
    puts: list[Put] = []
    passwords = 0
    for number, form, start, stop in parts:
        if form != BYTES:
            continue
        if number == 4:
            puts += _put(raw, start, stop)
        elif number == 6:
            _txn(raw, start, stop, puts, 0)
        elif number in PASSWORDS:
            inner = fields(raw, start, stop)
            passwords += any(each == PASSWORDS[number] and begin < last for each, _, begin, last in inner)
    return puts, passwords


def _txn(raw: bytes, at: int, end: int, puts: list[Put], depth: int) -> None:
    """The puts of both branches of a transaction: which of them ran, the log does not say."""
    if depth > DEEPEST:
        raise WireError
    for number, form, start, stop in fields(raw, at, end):
        if form == BYTES and number in (2, 3):
            for inner, shape, first, last in fields(raw, start, stop):
                if shape == BYTES and inner == 2:
                    puts += _put(raw, first, last)
                elif shape == BYTES and inner == 4:
                    _txn(raw, first, last, puts, depth + 1)


def _put(raw: bytes, at: int, end: int) -> list[Put]:
    key = value = (at, at)
    ignored = False
    for number, form, start, stop in fields(raw, at, end):
        if number == 1 and form == BYTES:
            key = start, stop
        elif number == 2 and form == BYTES:
            value = start, stop
        elif number == 5 and form == VARINT:
            ignored = bool(start)
    if ignored:
        return []
    return [Put(key[0], key[1] - key[0], value[0], value[1] - value[0])]


def commit(raw: bytes, at: int, end: int) -> int:
    """The commit index of a HardState, which is three numbers. Raises WireError."""
    said = {number: value for number, form, value, _ in fields(raw, at, end) if form == VARINT}
    if said.keys() != {1, 2, 3} or any(form != VARINT for _, form, _, _ in fields(raw, at, end)):
        raise WireError
    return said[3]


def check(buffer: Buffer, name: str) -> Gap | None:
    """A gap where a .snap file's checksum, CRC-32C of its data, does not hold."""
    raw = buffer.slice(0, buffer.size)
    try:
        parts = list(fields(raw, 0, len(raw)))
    except WireError:
        return Gap(name, 0, len(raw), f"{name}: no snappb.snapshot: its fields do not hold")
    stored = next((value for number, form, value, _ in parts if number == 1 and form == VARINT), 0)
    data = next(((start, stop) for number, form, start, stop in parts if number == 2 and form == BYTES), (0, 0))
    found = crc32c.crc32c(raw[slice(*data)])
    if stored == found:
        return None
    return Gap(name, data[0], data[1] - data[0], f"{name}: its checksum is {stored:08x}, its data give {found:08x}")
