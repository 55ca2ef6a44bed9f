"""etcd's MVCC records: the elements of the `key` bucket, and which of them are current.

Format: etcd server/storage/mvcc/revision.go (17 or 18 bytes of key) and api/mvccpb/kv.proto (the value).
"""

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer, varints
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.factorize import factorize
from auditor.arrays.parallel import parallel_for
from auditor.evidence import protobuf_wire
from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.bbolt.elements import Leaves
from auditor.evidence.etcd import accounts
from auditor.evidence.gaps import listed
from auditor.evidence.ledger import Ledger
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place, State

REVISION = 17
"""Bytes of a revision as a key: 8 of main, the separator, 8 of sub."""
TOMBSTONE = 18
"""Bytes of a tombstone's: the same and MARK."""
SEPARATOR = ord("_")
MARK = ord("t")

_KEY, _CREATE, _MOD, _VERSION, _VALUE, _LEASE = 0x0A, 0x10, 0x18, 0x20, 0x2A, 0x30
_TAGS = frozenset({_KEY, _CREATE, _MOD, _VERSION, _VALUE, _LEASE})

NO_RECORD, OTHER_REVISION, MORE = 1, 2, 3
"""Damage of a record: unreadable; of another revision; with fields that were not read."""
_DAMAGE = {
    NO_RECORD: "record is no mvccpb.KeyValue",
    OTHER_REVISION: "record's mod_revision is not the revision it is stored under",
    MORE: "record holds a field twice, or one that mvccpb.KeyValue does not have: not all of it was read",
}


def read(buffer: Buffer, source: str, leaves: Leaves, ledger: Ledger | None = None) -> tuple[RecordBatch, list[Gap]]:
    """The records of the `key` bucket in revision order, each with its place, and gaps for those that are damaged.

    A record without a key (etcdutl's --bump-revision writes one with an empty value) has key_len 0 and place latest.

    Args:
        buffer: The file.
        source: Its name.
        leaves: All elements of the `key` bucket.
        ledger: Of the file: elements that are no records are holes in it.
    """
    gaps: list[Gap] = []
    odd: list[int] = []
    valid, main, sub = _revisions(buffer, leaves)
    _gap_rows(gaps, source, leaves, ~valid, "record key is no revision: 8 bytes, '_', 8 bytes, perhaps 't'")
    if not valid.all():
        leaves = leaves.take(valid)
        main, sub = main[valid], sub[valid]
    batch = _batch(buffer, source, leaves, main, sub)
    damage = _read_fields(buffer, batch, odd)
    if ledger is not None:
        accounts.add_records(ledger, leaves, batch, damage != NO_RECORD, odd)
    impossible = (damage == 0) & (batch.create_revision > batch.mod_revision)
    for code, reason in _DAMAGE.items():
        _gap_rows(gaps, source, leaves, damage == code, reason)
    _gap_rows(gaps, source, leaves, impossible, "record's create_revision is later than its own")
    del leaves  # its memory is needed below
    if (damage == NO_RECORD).any():
        batch = batch.take(damage != NO_RECORD)
    order = _sort_order(batch)
    if order is not None:
        gaps.append(Gap(source, 0, 0, "the revisions of the key bucket are not in ascending order"))
        batch = batch.take(order)
    batch.place[:] = places(batch)
    return batch, gaps


def read_freed(
    buffer: Buffer, source: str, leaves: Leaves, ledger: Ledger, *, exact: bool = False
) -> tuple[RecordBatch, Ints]:
    """The records in leaves that no root reaches, and their rows in `leaves`.

    A value without its end has the bytes up to the end of its record. The caller sets places and states.

    Args:
        buffer: The file.
        source: Its name.
        leaves: Elements of freed leaf pages.
        ledger: Of the file.
        exact: Whether a record of another revision than its key's is none: its page may not be one.
    """
    odd: list[int] = []
    valid, main, sub = _revisions(buffer, leaves)
    leaves = leaves.take(valid)
    batch = _batch(buffer, source, leaves, main[valid], sub[valid])
    damage = _read_fields(buffer, batch, odd, cut=True)
    record = damage != NO_RECORD
    if exact:
        record &= (damage != OTHER_REVISION) & (batch.key_len > 0)
    accounts.add_records(ledger, leaves, batch, record, odd)
    return batch.take(record), np.flatnonzero(valid)[record]


def places(batch: RecordBatch) -> NDArray[np.uint8]:
    """The place of each record: latest, history or deleted. The records must be in ascending order of revision."""
    # newest: by a key's code, the row of its last record
    code, representatives = factorize(batch.data, batch.key_at, batch.key_size)
    newest = np.zeros(representatives.size, np.int64)
    np.maximum.at(newest, code, np.arange(len(batch)))
    deleted = batch.has(State.TOMBSTONE)[newest]
    place = np.where(deleted[code], np.uint8(Place.DELETED), np.uint8(Place.HISTORY))
    place[newest[~deleted]] = Place.LATEST
    return place


def _revisions(buffer: Buffer, leaves: Leaves) -> tuple[Bools, Ints, Ints]:
    """Which record keys are revisions, and their main and sub numbers: columns of shape (len(leaves),), bool and int64.

    etcd server/mvcc/revision.go, revToBytes(): 17 bytes, big endian, and a mark behind them where it is a tombstone.
    """
    at, length = leaves.key_at, leaves.key_len
    valid = (leaves.flags == 0) & ((length == REVISION) | (length == TOMBSTONE))
    main = np.empty(at.shape, np.int64)
    sub = np.empty(at.shape, np.int64)

    def parse(part: slice) -> None:
        # three words from the key's beginning: main; the separator and seven bytes of sub; the eighth and MARK
        first, second, third = buffer.blocks(at[part], 3).T
        main[part] = first.byteswap().view(np.int64)
        sub[part] = ((second >> np.uint64(8)) | (third << np.uint64(56))).byteswap().view(np.int64)
        valid[part] &= (second & np.uint64(0xFF)) == SEPARATOR
        valid[part] &= (length[part] == REVISION) | ((third >> np.uint64(8)) & np.uint64(0xFF) == MARK)

    parallel_for(at.size, parse)
    valid &= (main >= 0) & (sub >= 0)
    return valid, main, sub


def _batch(buffer: Buffer, source: str, leaves: Leaves, main: Ints, sub: Ints) -> RecordBatch:
    """A batch with the start and end of each record as key_at and value_at, for _read_fields() to parse."""
    rows = main.size
    state = np.where(leaves.key_len == TOMBSTONE, np.uint8(State.TOMBSTONE), np.uint8(0))
    return RecordBatch.of(
        source,
        buffer,
        mapped=True,
        place=Place.LATEST,
        key_at=leaves.value_at.copy(),
        key_len=np.zeros(rows, np.uint32),
        value_at=leaves.value_at + leaves.value_len,
        value_len=np.zeros(rows, np.uint32),
        mod_revision=main,
        sub_revision=sub,
        create_revision=np.full(rows, UNKNOWN, np.int64),
        version=np.full(rows, UNKNOWN, np.int64),
        page=leaves.page,
        state=state,
    )


def _read_fields(buffer: Buffer, batch: RecordBatch, odd: list[int], *, cut: bool = False) -> NDArray[np.uint8]:
    """Fill the columns from each record's protobuf; returns the damage, 0 where there is none, shape (n,).

    Args:
        buffer: The bytes.
        batch: What _batch() makes of the elements.
        odd: A list to which rows are added whose fields are not in etcd's order, or not all known.
        cut: Whether a value may end behind its record.
    """
    damage = np.zeros(len(batch), np.uint8)

    def parse(part: slice) -> None:
        start, end = batch.key_at[part].copy(), batch.value_at[part].copy()  # the columns are written below
        # at: the position behind the fields read so far; regular: whether all are in etcd's order and nothing follows
        at, regular = start, np.ones(start.shape, np.bool_)
        mod = np.full(start.shape, UNKNOWN, np.int64)
        for tag, column in (
            (_KEY, None),
            (_CREATE, batch.create_revision[part]),
            (_MOD, mod),
            (_VERSION, batch.version[part]),
        ):
            value, after, present = _field(buffer, at, end, tag)
            if column is None:
                key_len = np.where(present, value, 0)
                batch.key_at[part] = np.where(present, after, start)
                at = np.where(present, after + value, at)
                regular &= present | (start == end)
            else:
                column[present] = value[present]
                at = np.where(present, after, at)
        value, after, present = _field(buffer, at, end, _VALUE, cut=cut)
        value_len = np.where(present, np.minimum(value, end - after), 0)
        value_at = np.where(present, after, end)
        at = np.where(present, after + value_len, at)
        # read only where something follows the value: its end lies pages away, and a read there costs most
        longer = np.flatnonzero(at != end)
        regular[longer] &= _ends_in_lease(buffer, at[longer], end[longer])
        batch.key_len[part], batch.value_len[part] = np.where(regular, key_len, 0), np.where(regular, value_len, 0)
        batch.value_at[part] = value_at
        for row in np.flatnonzero(~regular).tolist():
            number = part.start + row
            odd.append(number)
            mod[row], damage[number] = _parse(buffer, batch, number, int(start[row]), int(end[row]))
        without_mod = batch.has(State.TOMBSTONE)[part] | (start == end)  # only these lack a mod_revision
        elsewhere = (mod != batch.mod_revision[part]) & ((mod != UNKNOWN) | ~without_mod)
        damage[part] = np.where(elsewhere & (damage[part] == 0), OTHER_REVISION, damage[part])

    parallel_for(len(batch), parse)
    return damage


def _field(buffer: Buffer, at: Ints, end: Ints, tag: int, *, cut: bool = False) -> tuple[Ints, Ints, Bools]:
    """One field of each record, as columns of the shape of `at`: value (or length) and the position behind that, int64,
    and which rows have the field, bool.

    Args:
        buffer: The bytes.
        at: Where the field is expected.
        end: Where the record ends.
        tag: The field's tag.
        cut: Whether its content may end behind the record.
    """
    words = buffer.words(at)
    value, size = varints(words >> np.uint64(8))
    present = (at < end) & ((words & np.uint64(0xFF)) == tag) & (size > 0) & (size < 8)
    after = at + 1 + size
    if tag in (_KEY, _VALUE):
        present &= (after + value <= end) | (cut & (after <= end))
    else:
        present &= after <= end
    return value, after, present


def _ends_in_lease(buffer: Buffer, at: Ints, end: Ints) -> Bools:
    """Which records end in a lease id and nothing else: a random number of 63 bits, longer than a word as a varint."""
    length = end - at - 1
    first = (buffer.words(at) & np.uint64(0xFF)) == _LEASE
    _, low = varints(buffer.words(at + 1))
    _, high = varints(buffer.words(at + 9))
    in_lease: Bools = first & np.where(length <= 8, low == length, (low == 0) & (length <= 10) & (high == length - 8))
    return in_lease


def _parse(buffer: Buffer, batch: RecordBatch, row: int, start: int, end: int) -> tuple[int, int]:
    """A record whose fields are not in etcd's own order: its mod_revision, UNKNOWN where it has none, and its damage.

    A known field of another wire type is refused, as by etcd, and two keys are. The last of other repeated fields
    counts; the others, and unknown ones, are damage of the kind MORE.
    """
    from auditor.protobuf.kv_pb2 import KeyValue

    raw = buffer.slice(start, end - start)
    try:
        tags = [(number << 3 | kind, first) for number, kind, first, _ in protobuf_wire.fields(raw, 0, len(raw))]
        record = KeyValue.FromString(raw)
    except (protobuf_wire.WireError, DecodeError):
        return UNKNOWN, NO_RECORD
    unknown = {tag for tag, _ in tags} - _TAGS
    twice = sum(tag == _KEY for tag, _ in tags) > 1  # one wrong bit makes a key of the value's tag
    if twice or any(tag >> 3 <= max(_TAGS) >> 3 for tag in unknown):
        return UNKNOWN, NO_RECORD
    last_at = dict(tags)  # the last one of each field
    batch.key_at[row], batch.key_len[row] = start + last_at.get(_KEY, 0), len(record.key)
    batch.value_at[row], batch.value_len[row] = start + last_at.get(_VALUE, 0), len(record.value)
    batch.create_revision[row] = record.create_revision or UNKNOWN
    batch.version[row] = record.version or UNKNOWN
    return record.mod_revision or UNKNOWN, MORE if unknown or len(last_at) < len(tags) else 0


def _sort_order(batch: RecordBatch) -> Ints | None:
    """The permutation that sorts the records by revision, or None where they are sorted."""
    later = batch.mod_revision[1:] > batch.mod_revision[:-1]
    later |= (batch.mod_revision[1:] == batch.mod_revision[:-1]) & (batch.sub_revision[1:] > batch.sub_revision[:-1])
    return None if later.all() else np.lexsort((batch.sub_revision, batch.mod_revision))


def _gap_rows(gaps: list[Gap], source: str, leaves: Leaves, bad: Bools, reason: str) -> None:
    """Add gaps for damaged records."""

    def one(row: int) -> Gap:
        offset, length = int(leaves.key_at[row]), int(leaves.key_len[row]) + int(leaves.value_len[row])
        return Gap(source, offset, length, f"offset {offset}: {reason}")

    def rest(more: Ints) -> Gap:
        total = sum(int(sizes[more].sum()) for sizes in (leaves.key_len, leaves.value_len))
        return Gap(source, 0, total, f"{more.size} more records, not listed: {reason}")

    gaps += listed(np.flatnonzero(bad), one, rest)
