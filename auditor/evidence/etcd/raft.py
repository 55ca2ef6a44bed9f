"""Raft's messages: log entries with the requests in them, HardState, and the files of raft snapshots.

Sources: go.etcd.io/raft raftpb/raft.proto (Entry, HardState), etcd api/etcdserverpb/raft_internal.proto
(InternalRaftRequest) and rpc.proto (PutRequest, TxnRequest, RequestOp), server/etcdserver/api/snap/snappb/snap.proto.
"""

from typing import NamedTuple

import crc32c

from auditor.arrays.buffer import Buffer
from auditor.evidence.protobuf_wire import BYTES, VARINT, WireError, fields
from auditor.model.evidence import Gap

NORMAL = 0
"""The type of an entry with a request (raftpb.EntryNormal)."""
DEEPEST = 16
"""Transactions inside each other."""
V2_METHODS = frozenset({b"PUT", b"POST", b"DELETE", b"QGET", b"GET", b"HEAD", b"SYNC"})
PASSWORDS = {1012: 2, 1100: 2, 1103: 2}
"""Fields of requests with a password in clear, and its field in them.

Authenticate up to 3.2, user add and change up to 3.4.
"""


class Put(NamedTuple):
    """Positions and lengths of a put's key and value in the bytes that were decoded."""

    key_at: int
    key_len: int
    value_at: int
    value_len: int


class Entry(NamedTuple):
    """One log entry."""

    raft_index: int
    term: int
    puts: tuple[Put, ...]
    """The puts of its request."""
    passwords: int
    """Passwords in clear in its request."""


def entry(raw: bytes, at: int, end: int) -> Entry:
    """The raftpb.Entry in raw[at:end]. Raises WireError where it, or the request in it, does not decode.

    Args:
        raw: The bytes.
        at: Where the entry begins.
        end: Where it ends.
    """
    entry_type = term = index = 0
    data: tuple[int, int] | None = None
    for number, wire_type, value, stop in fields(raw, at, end):
        if wire_type == VARINT:
            if number == 1:
                entry_type = value
            elif number == 2:
                term = value
            elif number == 3:
                index = value
        elif number == 4 and wire_type == BYTES:
            data = value, stop
    if entry_type != NORMAL or data is None or data[0] == data[1]:
        return Entry(index, term, (), 0)
    puts, passwords = _request(raw, *data)
    return Entry(index, term, tuple(puts), passwords)


def _request(raw: bytes, at: int, end: int) -> tuple[list[Put], int]:
    """The puts of an InternalRaftRequest, and its passwords; none for a v2 Request, which etcd up to 3.6 logs too."""
    request = list(fields(raw, at, end))
    for number, wire_type, start, stop in request:
        if number == 2 and wire_type == BYTES and raw[start:stop] in V2_METHODS:
            return [], 0
    puts: list[Put] = []
    passwords = 0
    for number, wire_type, start, stop in request:
        if wire_type != BYTES:
            continue
        if number == 4:
            puts += _put(raw, start, stop)
        elif number == 6:
            _txn(raw, start, stop, puts, 0)
        elif number in PASSWORDS:
            inner = fields(raw, start, stop)
            passwords += any(field == PASSWORDS[number] and begin < last for field, _, begin, last in inner)
    return puts, passwords


def _txn(raw: bytes, at: int, end: int, puts: list[Put], depth: int) -> None:
    """Add the puts of both branches of a transaction: the log does not record which branch ran.

    Args:
        raw: The request's bytes.
        at: Where the TxnRequest begins.
        end: Where it ends.
        puts: The list to add to.
        depth: Transactions around this one.
    """
    if depth > DEEPEST:
        raise WireError
    for number, wire_type, start, stop in fields(raw, at, end):
        if wire_type == BYTES and number in (2, 3):
            for inner_number, inner_type, first, last in fields(raw, start, stop):
                if inner_type == BYTES and inner_number == 2:
                    puts += _put(raw, first, last)
                elif inner_type == BYTES and inner_number == 4:
                    _txn(raw, first, last, puts, depth + 1)


def _put(raw: bytes, at: int, end: int) -> list[Put]:
    """A PutRequest; none where it leaves the value as it is (ignore_value)."""
    key = value = (at, at)
    ignore_value = False
    for number, wire_type, start, stop in fields(raw, at, end):
        if number == 1 and wire_type == BYTES:
            key = start, stop
        elif number == 2 and wire_type == BYTES:
            value = start, stop
        elif number == 5 and wire_type == VARINT:
            ignore_value = bool(start)
    if ignore_value:
        return []
    return [Put(key[0], key[1] - key[0], value[0], value[1] - value[0])]


def commit(raw: bytes, at: int, end: int) -> int:
    """The commit index of a HardState, a message of three varints. Raises WireError.

    Args:
        raw: The bytes.
        at: Where the HardState begins.
        end: Where it ends.
    """
    numbers = {number: value for number, wire_type, value, _ in fields(raw, at, end) if wire_type == VARINT}
    if numbers.keys() != {1, 2, 3} or any(wire_type != VARINT for _, wire_type, _, _ in fields(raw, at, end)):
        raise WireError
    return numbers[3]


def check(buffer: Buffer, name: str) -> Gap | None:
    """The gap of a .snap file whose checksum, CRC-32C of its data, is wrong."""
    raw = buffer.slice(0, buffer.size)
    try:
        message = list(fields(raw, 0, len(raw)))
    except WireError:
        return Gap(name, 0, len(raw), f"{name}: no snappb.snapshot: its fields do not hold")
    stored = next((value for number, wire_type, value, _ in message if number == 1 and wire_type == VARINT), 0)
    data = next(
        ((start, stop) for number, wire_type, start, stop in message if number == 2 and wire_type == BYTES), (0, 0)
    )
    actual = crc32c.crc32c(raw[slice(*data)])
    if stored == actual:
        return None
    return Gap(name, data[0], data[1] - data[0], f"{name}: its checksum is {stored:08x}, its data give {actual:08x}")
