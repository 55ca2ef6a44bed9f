"""Raft's messages: log entries with the requests in them, and HardState.

Sources: go.etcd.io/raft raftpb/raft.proto (Entry, HardState), etcd api/etcdserverpb/raft_internal.proto
(InternalRaftRequest), etcdserver.proto (Request) and rpc.proto (PutRequest, TxnRequest, RequestOp, Compare).
"""

from typing import NamedTuple

from auditor.evidence.etcd import requests, v2_store
from auditor.evidence.protobuf_wire import BYTES, VARINT, WireError, fields

NORMAL = 0
"""The type of an entry with a request (raftpb.EntryNormal)."""
DEEPEST = 16
"""Transactions inside each other."""
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
    """The puts of an InternalRaftRequest, or of a v2 Request, and its passwords."""
    if requests.v2_method(raw, at, end):
        return _v2(raw, at, end), 0
    puts: list[Put] = []
    passwords = 0
    for number, wire_type, start, stop in fields(raw, at, end):
        if wire_type != BYTES:
            continue
        if number == 2:
            puts += _v2(raw, start, stop)
        elif number == 4:
            puts += _put(raw, start, stop)
        elif number == 6:
            _txn(raw, start, stop, puts, 0)
        elif number in PASSWORDS:
            inner = fields(raw, start, stop)
            passwords += any(field == PASSWORDS[number] and begin < last for field, _, begin, last in inner)
    return puts, passwords


def _v2(raw: bytes, at: int, end: int) -> list[Put]:
    """The value that a request of the v2 API writes, and the one that it expects; none of what etcd writes itself."""
    parts = {number: (start, stop) for number, wire_type, start, stop in fields(raw, at, end) if wire_type == BYTES}
    path = parts.get(3, (at, at))
    written = [parts[number] for number in (4, 6) if number in parts and parts[number][0] < parts[number][1]]
    key_at = path[0] + v2_store.skip(raw[slice(*path)])
    return [
        Put(key_at, path[1] - key_at, start, stop - start)
        for start, stop in written
        if not v2_store.is_own(raw[slice(*path)], raw[start:stop])
    ]


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
        if wire_type == BYTES and number == 1:
            puts += _compared(raw, start, stop)
        elif wire_type == BYTES and number in (2, 3):
            for inner_number, inner_type, first, last in fields(raw, start, stop):
                if inner_type == BYTES and inner_number == 2:
                    puts += _put(raw, first, last)
                elif inner_type == BYTES and inner_number == 4:
                    _txn(raw, first, last, puts, depth + 1)


def _put(raw: bytes, at: int, end: int) -> list[Put]:
    """A PutRequest; none where it leaves the value as it is (ignore_value). etcd refuses one that holds a value too."""
    key = value = (at, at)
    ignore_value = False
    for number, wire_type, start, stop in fields(raw, at, end):
        if number == 1 and wire_type == BYTES:
            key = start, stop
        elif number == 2 and wire_type == BYTES:
            value = start, stop
        elif number == 5 and wire_type == VARINT:
            ignore_value = bool(start)
    if ignore_value and value[0] == value[1]:
        return []
    return [Put(key[0], key[1] - key[0], value[0], value[1] - value[0])]


def _compared(raw: bytes, at: int, end: int) -> list[Put]:
    """The value that a Compare holds; Kubernetes compares revisions."""
    parts = {number: (start, stop) for number, wire_type, start, stop in fields(raw, at, end) if wire_type == BYTES}
    if 7 not in parts:
        return []
    key, value = parts.get(3, (at, at)), parts[7]
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
