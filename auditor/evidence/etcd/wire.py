"""The log's wire formats as columns: frames, and the fields of many protobuf messages at once.

Sources: etcd server/storage/wal/encoder.go and decoder.go; protobuf.dev, Encoding; for entries() go.etcd.io/raft
raftpb/raft.proto, etcd api/etcdserverpb/raft_internal.proto and rpc.proto, client/v3/kubernetes/client.go.
"""

import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer, varints
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.protobuf_wire import BYTES, LONGEST

LENGTH_FIELD = 8
ALIGNED = 8
SECTOR = 512
ABSENT, LONG = -1, -2
NUMBERS = (b"\x08", b"\x10", b"\x18")
_OPERATIONS = (b"\x0a", b"\x12", b"\x1a")
_TOPS = (0, *range(0x81, 0x88))
"""The highest byte of a length: nothing, or that padding follows and how much."""


class Part(NamedTuple):
    """One field of n messages: which have it, its number or where its content begins, and where it ends.

    An absent number is ABSENT, one whose seven bits are more than fit into seven bytes LONG; absent content is empty.
    """

    present: Bools
    value: Ints
    stop: Ints


@dataclass(frozen=True, slots=True)
class Records(Columns):
    """Records of one file: where their frames begin and end, where their data do; and whether the checksum holds."""

    at: Ints
    stop: Ints
    start: Ints
    end: Ints
    sound: Bools

    def raw(self, buffer: Buffer, row: int) -> bytes:
        return buffer.slice(int(self.start[row]), int(self.end[row] - self.start[row]))


def frames(buffer: Buffer) -> tuple[Ints, Ints, Ints, Ints, int, int]:
    """The frames of a file: where each begins, where its record ends, where its padding does; int64 (n,).

    Also which have a length that etcd does not write; where the frames end, and the length of the frame that stands
    there, more than the file has left: 0 where the end is etcd's own.
    """
    view, unpack, table = memoryview(buffer.data.data), struct.Struct("<Q").unpack_from, array("q")
    at = claimed = 0
    while at + LENGTH_FIELD <= buffer.size:
        (length,) = unpack(view, at)
        if not length:
            break
        top = length >> 56
        end = at + LENGTH_FIELD + (length & (1 << 56) - 1)
        stop = end + (top & 7 if top & 0x80 else 0)
        if stop > buffer.size:
            claimed = stop - at
            break
        table.extend((at, end, stop, top))
        at = stop
    if buffer.size - at < LENGTH_FIELD and buffer.slice(at, LENGTH_FIELD).strip(b"\0"):
        claimed = LENGTH_FIELD
    starts, ends, stops, tops = np.array(table, np.int64).reshape(-1, 4).T
    odd = np.flatnonzero(~np.isin(tops, _TOPS) | ((stops - starts) % ALIGNED != 0))
    return starts, ends, stops, odd, at, claimed


def zero_sector(buffer: Buffer, at: int, end: int) -> bool:
    """etcd's own rule: a write is torn where one of its sectors is all zero (decoder.go, isTornEntry)."""
    edges = np.array([at, *range((at // SECTOR + 1) * SECTOR, end, SECTOR), end], np.int64)
    return not buffer.nonzero(edges[:-1], edges[1:]).all()


def messages(buffer: Buffer, start: Ints, end: Ints, tags: Sequence[bytes]) -> tuple[Bools, list[Part]]:
    """n messages at once: which of them hold these fields, in this order and each at most once, and nothing else.

    What is said of the others means nothing: protobuf_wire.fields() reads any message.
    """
    at, parts = start, []
    for tag in tags:
        room = 8 - len(tag)
        words = buffer.words(at)
        value, size = varints(words >> np.uint64(8 * len(tag)))
        wanted = np.uint64(int.from_bytes(tag, "little"))
        present = (at + len(tag) < end) & ((words & np.uint64((1 << 8 * len(tag)) - 1)) == wanted)
        far = np.flatnonzero(present & ((size == 0) | (size > room)))
        value[far] = LONG
        size[far] = _long(buffer, at[far] + len(tag))
        after = at + len(tag) + size
        holds = tag[0] & 7 == BYTES
        stop = after + value if holds else after
        present &= (size > 0) & (stop <= end) & ((value >= 0) | (not holds))
        value = after if holds else value
        parts.append(Part(present, np.where(present, value, at if holds else ABSENT), np.where(present, stop, at)))
        at = np.where(present, stop, at)
    return at == end, parts


def _long(buffer: Buffer, at: Ints) -> Ints:
    """Sizes of varints that may be longer than a word; 0 where they are longer than any."""
    _, low = varints(buffer.words(at))
    _, high = varints(buffer.words(at + 8))
    return np.where(low > 0, low, np.where((high > 0) & (high <= LONGEST - 8), 8 + high, 0))


def entries(buffer: Buffer, start: Ints, end: Ints) -> tuple[Bools, Ints, Ints]:
    """n raftpb.Entry: which of them are as kube-apiserver's writes make them, their raft indices, and their puts.

    Those are a put, or a transaction of at most one comparison and one operation in each branch, that of the failure
    branch no put. Puts, int64 (m, 5): row of the entry, where its key begins, length, where its value begins, length.
    Each column of the others means nothing.
    """
    known, (kind, _, index, data) = messages(buffer, start, end, (*NUMBERS, b"\x22"))
    known &= (kind.value == 0) & (index.value >= 0)
    good, (_, put, txn, _) = messages(buffer, data.value, data.stop, (b"\x08", b"\x22", b"\x32", b"\xa2\x06"))
    known &= good & ~(put.present & txn.present)
    good, (_, success, failure) = messages(buffer, txn.value, txn.stop, _OPERATIONS)
    known &= good
    good, (_, inner, _) = messages(buffer, success.value, success.stop, _OPERATIONS)
    known &= good
    good, (_, other, _) = messages(buffer, failure.value, failure.stop, _OPERATIONS)
    known &= good & ~other.present
    begin, stop = np.where(put.present, put.value, inner.value), np.where(put.present, put.stop, inner.stop)
    good, (key, value, _) = messages(buffer, begin, stop, (b"\x0a", b"\x12", b"\x18"))
    known &= good
    rows = np.flatnonzero(known & (put.present | inner.present))
    value_at = np.where(value.present, value.value, begin)
    columns = (np.arange(start.size), key.value, key.stop - key.value, value_at, value.stop - value.value)
    return known, index.value, np.stack([column[rows] for column in columns], axis=1)
