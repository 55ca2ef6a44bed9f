"""The WAL's wire formats as columns: frames, and the fields of many protobuf messages at once.

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
from auditor.arrays.parallel import chunks
from auditor.evidence import beginnings
from auditor.evidence.protobuf_wire import BYTES, LONGEST

LENGTH_FIELD = 8
"""Bytes of the length before each frame."""
ALIGNED = 8
"""Frames are padded to multiples of this."""
SECTOR = 512
"""Bytes of a disk's sector (decoder.go, minSectorSize)."""
ABSENT, LONG = -1, -2
NUMBERS = (b"\x08", b"\x10", b"\x18")
"""Tags of varints in the fields 1 to 3."""
_OPERATIONS = (b"\x0a", b"\x12", b"\x1a")
_COMPARE = (b"\x08", b"\x10", b"\x1a", b"\x20", b"\x28", b"\x30")
"""A Compare's result, target, key, and the version or revision that it compares with."""
_ONE_KEY = (b"\x0a",)
"""A RangeRequest, or a DeleteRangeRequest, of one key."""
LONGEST_TEXT = 512
"""Bytes of a key or a user's name that only a request holds, at most."""
_PADDING = (0, *range(0x81, 0x88))
"""The highest byte of a length: 0, or 0x80 with the bytes of padding (encoder.go, encodeFrameSize)."""

_ONES, _HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_SPACES, _DELETES = _ONES * np.uint64(ord(" ")), _ONES * np.uint64(0x7F)
"""In every byte of a word: 1, the highest bit, a blank, DEL."""


class FieldColumn(NamedTuple):
    """One field of n messages; columns of shape (n,)."""

    present: Bools
    """Which messages have it."""
    value: Ints
    """A varint's number: ABSENT without one, LONG where it has more than seven bytes. Else where the content begins."""
    stop: Ints
    """Where the field ends; absent content is empty."""


@dataclass(frozen=True, slots=True)
class Records(Columns):
    """n records of one file; columns of shape (n,)."""

    at: Ints
    """Where the frame begins."""
    stop: Ints
    """Where the frame ends, padding included."""
    start: Ints
    """Where the record's data begin."""
    end: Ints
    """Where they end."""
    sound: Bools
    """Whether the checksum is right."""

    def raw(self, buffer: Buffer, row: int) -> bytes:
        """The data of one record."""
        return buffer.slice(int(self.start[row]), int(self.end[row] - self.start[row]))


class Frames(NamedTuple):
    """The n frames of a file; columns of shape (n,)."""

    start: Ints
    """Where the frame begins, with its length."""
    end: Ints
    """Where its record ends."""
    stop: Ints
    """Where its padding ends."""
    odd: Ints
    """Rows with a length that etcd does not write."""
    rest: int
    """Where the frames end."""
    claim: int
    """Length of a frame there that goes on behind the file's end; 0 where the end is etcd's own."""


def frames(buffer: Buffer) -> Frames:
    """The frames of a file, one by one: each length gives the position of the next."""
    view, unpack, table = memoryview(buffer.data.data), struct.Struct("<Q").unpack_from, array("q")
    at = claim = 0
    while at + LENGTH_FIELD <= buffer.size:
        (length,) = unpack(view, at)
        if not length:
            break
        top = length >> 56
        end = at + LENGTH_FIELD + (length & (1 << 56) - 1)
        stop = end + (top & 7 if top & 0x80 else 0)
        if stop > buffer.size:
            claim = stop - at
            break
        table.extend((at, end, stop, top))
        at = stop
    if buffer.size - at < LENGTH_FIELD and buffer.slice(at, LENGTH_FIELD).strip(b"\0"):
        claim = LENGTH_FIELD
    starts, ends, stops, tops = np.array(table, np.int64).reshape(-1, 4).T
    odd = np.flatnonzero(~np.isin(tops, _PADDING) | ((stops - starts) % ALIGNED != 0))
    return Frames(start=starts, end=ends, stop=stops, odd=odd, rest=at, claim=claim)


def zero_sector(buffer: Buffer, at: int, end: int) -> bool:
    """Whether a write is torn by etcd's own rule: one of its sectors is all zero (decoder.go, isTornEntry).

    Args:
        buffer: The segment.
        at: Where the frame begins.
        end: Where it ends.
    """
    edges = np.array([at, *range((at // SECTOR + 1) * SECTOR, end, SECTOR), end], np.int64)
    return not buffer.nonzero(edges[:-1], edges[1:]).all()


def messages(buffer: Buffer, start: Ints, end: Ints, tags: Sequence[bytes]) -> tuple[Bools, list[FieldColumn]]:
    """The fields of n messages at once, of the regular shape: in this order, each at most once, and no others.

    Args:
        buffer: The bytes.
        start: Where each message begins.
        end: Where it ends.
        tags: The fields' tags, of one or two bytes.

    Returns which messages are regular, and a column for each tag; rows of other messages are meaningless, and
    protobuf_wire.fields() reads those.
    """
    # at: row by row, the position behind the fields read so far
    at, columns = start, []
    for tag in tags:
        room = 8 - len(tag)
        words = buffer.words(at)
        value, size = varints(words >> np.uint64(8 * len(tag)))
        tag_bits = np.uint64(int.from_bytes(tag, "little"))
        present = (at + len(tag) < end) & ((words & np.uint64((1 << 8 * len(tag)) - 1)) == tag_bits)
        long = np.flatnonzero(present & ((size == 0) | (size > room)))
        value[long] = LONG
        size[long] = _long_varint_sizes(buffer, at[long] + len(tag))
        after = at + len(tag) + size
        has_content = tag[0] & 7 == BYTES
        stop = after + value if has_content else after
        present &= (size > 0) & (stop <= end) & ((value >= 0) | (not has_content))
        value = after if has_content else value
        columns.append(
            FieldColumn(present, np.where(present, value, at if has_content else ABSENT), np.where(present, stop, at))
        )
        at = np.where(present, stop, at)
    return at == end, columns


def _long_varint_sizes(buffer: Buffer, at: Ints) -> Ints:
    """Sizes of varints that may be longer than a word; 0 where one is longer than LONGEST."""
    _, low = varints(buffer.words(at))
    _, high = varints(buffer.words(at + 8))
    return np.where(low > 0, low, np.where((high > 0) & (high <= LONGEST - 8), 8 + high, 0))


class Entries(NamedTuple):
    """n raftpb.Entry; columns of shape (n,) but for `puts`. Rows of entries that are not regular are meaningless."""

    regular: Bools
    """Which have the shape of kube-apiserver's writes, nothing of them unread."""
    raft_index: Ints
    """Raft indices."""
    puts: Ints
    """Puts, shape (m, 5): row of the entry, where its key begins, length, where its value begins, length."""
    key: FieldColumn
    """The key that the entry writes, deletes or reads."""
    value: FieldColumn
    """The value that it writes."""


def entries(buffer: Buffer, start: Ints, end: Ints) -> Entries:
    """n raftpb.Entry. A regular one is a put, or a transaction of at most one comparison and one operation in each
    branch, all of one key, no put in the failure branch.

    Args:
        buffer: The segment.
        start: Where each entry begins.
        end: Where it ends.
    """
    # raftpb.Entry, InternalRaftRequest, then the branches of a TxnRequest and the RequestOp in each, then a PutRequest
    regular, (kind, _, index, data) = messages(buffer, start, end, (*NUMBERS, b"\x22"))
    regular &= (kind.value == 0) & (index.value >= 0)
    plain, (_, put, txn, header) = messages(buffer, data.value, data.stop, (b"\x08", b"\x22", b"\x32", b"\xa2\x06"))
    regular &= plain & ~(put.present & txn.present)
    plain, (compare, success, failure) = messages(buffer, txn.value, txn.stop, _OPERATIONS)
    regular &= plain
    plain, (get, success_put, delete) = messages(buffer, success.value, success.stop, _OPERATIONS)
    regular &= plain & (get.present.astype(np.int8) + success_put.present + delete.present <= 1)
    plain, (other_get, failure_put, other_delete) = messages(buffer, failure.value, failure.stop, _OPERATIONS)
    regular &= plain & ~failure_put.present & ~(other_get.present & other_delete.present)
    begin, stop = np.where(put.present, put.value, success_put.value), np.where(put.present, put.stop, success_put.stop)
    plain, (key, value, _) = messages(buffer, begin, stop, (b"\x0a", b"\x12", b"\x18"))
    regular &= plain & _header(buffer, header)
    writes = put.present | success_put.present
    value_at = np.where(value.present, value.value, begin)
    named = [_named(buffer, compare, b"\x1a", _COMPARE)]
    named += [_named(buffer, each, b"\x0a", _ONE_KEY) for each in (get, delete, other_get, other_delete)]
    key = _first(key, writes, [each for _, each in named])
    for plain, each in named:
        length = each.stop - each.value
        same = ~each.present | (length == key.stop - key.value)
        same[same] = buffer.equal(each.value[same], key.value[same], length[same])
        regular &= plain & same
    regular &= writes | printable(buffer, key.value, key.stop - key.value)
    rows = np.flatnonzero(regular & writes)
    columns = (np.arange(start.size), key.value, key.stop - key.value, value_at, value.stop - value.value)
    return Entries(regular, index.value, np.stack([column[rows] for column in columns], axis=1), key, value)


def _named(buffer: Buffer, message: FieldColumn, key: bytes, tags: Sequence[bytes]) -> tuple[Bools, FieldColumn]:
    """The key of a Compare, or of a request for one key; which of these hold nothing else but numbers.

    Args:
        buffer: The segment.
        message: Where each message lies.
        key: The tag of its key.
        tags: The tags of its fields.
    """
    plain, columns = messages(buffer, message.value, message.stop, tags)
    return plain, columns[tags.index(key)]


def _first(key: FieldColumn, present: Bools, others: Sequence[FieldColumn]) -> FieldColumn:
    """A key where it is present, else the first of the others."""
    for other in others:
        rows = ~present & other.present
        key = FieldColumn(
            key.present | rows, np.where(rows, other.value, key.value), np.where(rows, other.stop, key.stop)
        )
        present = present | rows
    return key


def _header(buffer: Buffer, header: FieldColumn) -> Bools:
    """Which RequestHeaders are an id, the name of a user, and a revision."""
    plain, (_, user, _) = messages(buffer, header.value, header.stop, (b"\x08", b"\x12", b"\x18"))
    return plain & printable(buffer, user.value, user.stop - user.value)


def printable(buffer: Buffer, at: Ints, length: Ints) -> Bools:
    """Which strings are bounded, and printable ASCII throughout; no readable value begins in them, in any writing."""
    sound: Bools = length <= LONGEST_TEXT
    rows = np.flatnonzero(sound & (length > 0))
    if not rows.size:
        return sound
    for part in chunks(rows.size, 1 << 12):
        chosen = rows[part]
        foreign = np.zeros(chosen.size, np.bool_)
        for index, words, mask in buffer.strings(at[chosen], length[chosen]):
            # bytes below a blank, DEL, and those with the high bit: of the flags of a word the lowest is right
            flags = ((words - _SPACES) & ~words) | (((words ^ _DELETES) - _ONES) & ~(words ^ _DELETES)) | words
            foreign[index] |= (flags & _HIGH & mask).any(axis=1)
        sound[chosen] = ~foreign
    rows = np.flatnonzero(sound)
    rows = rows[beginnings.likely(buffer, at[rows], length[rows])]
    sound[rows] = [not beginnings.in_text(text, readable=True) for text in buffer.slices(at[rows], length[rows])]
    return sound
