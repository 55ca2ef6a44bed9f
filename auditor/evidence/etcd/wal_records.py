"""The frames of a WAL segment, their chained checksums, and the records in them.

Format: etcd server/storage/wal (encoder.go, decoder.go, repair.go) and walpb/record.proto. Frames are read one by one,
since each gives the position of the next; their records are read as columns. Entries of another shape than
kube-apiserver's are left to raft.entry, which reads any.
"""

from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import crc32c
import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks
from auditor.evidence import protobuf_wire
from auditor.evidence.etcd import raft, requests, wal_accounts, wire
from auditor.evidence.etcd.wire import Records
from auditor.evidence.gaps import listed
from auditor.evidence.ledger import Account, Ledger
from auditor.evidence.protobuf_wire import WireError
from auditor.model.evidence import Gap
from auditor.text import hex_id

METADATA, ENTRY, STATE, CRC, SNAPSHOT = 1, 2, 3, 4, 5
"""Types of records (wal.go)."""
LARGEST = (1 << 63) - 1
"""The largest raft index that fits into a column; a larger one counts as this."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a WAL."""

    number: int
    """Its place in the chain, from 0."""
    name: str
    buffer: Buffer
    ledger: Ledger
    """What is accounted for in it."""
    last: bool
    """Whether no other one follows, so that its end may be a torn write."""


@dataclass
class Chain:
    """The records of all segments read so far."""

    gaps: list[Gap] = field(default_factory=list)
    unframed: list[tuple[int, int, int]] = field(default_factory=list)
    """Number of a segment, start and end of bytes in it that no frame accounts for."""
    puts: list[list[Ints]] = field(default_factory=list)
    """For each segment, arrays of rows (m, 5): number of the entry, then the columns of raft.Put."""
    indices: list[Ints] = field(default_factory=lambda: [np.zeros(0, np.int64)])
    """Raft index of each entry."""
    sound: list[Bools] = field(default_factory=lambda: [np.zeros(0, np.bool_)])
    """Whether each entry's checksum is right."""
    members: dict[tuple[int, int], None] = field(default_factory=dict)
    """Ids of node and cluster in the metadata records, in their order."""
    entries: int = 0
    """Number of entries."""
    last: int | None = None
    """Raft index of the last entry."""
    crc: int = 0
    """Checksum of the last record, the seed of the next one's."""
    commit: int = 0
    """Commit index of the last HardState."""
    snapshot: int = 0
    """Highest raft index of a snapshot record."""
    passwords: int = 0
    """Requests with a password of an etcd user in clear."""

    def add_gaps(self, name: str, at: Ints, length: Ints, reason: Callable[[int, int], str]) -> None:
        """Add gaps of one segment.

        Args:
            name: The segment's name.
            at: Offsets of the gaps.
            length: Their bytes.
            reason: The defect in words, by an offset and its row in `at`.
        """

        def one(row: int) -> Gap:
            offset = int(at[row])
            return Gap(name, offset, int(length[row]), f"{name}: {reason(offset, row)}")

        def rest(more: Ints) -> Gap:
            first = int(at[more[0]])
            why = f"{name}: {more.size:,} more from offset {first} on, not listed, like the one before"
            return Gap(name, first, int(length[more].sum()), why)

        self.gaps += listed(np.arange(at.size), one, rest)


def read(chain: Chain, segment: Segment) -> None:
    """Add all frames of one segment to the chain."""
    name, buffer = segment.name, segment.buffer
    frames = wire.frames(buffer)
    odd, lengths = frames.odd, frames.stop - frames.start
    chain.add_gaps(
        name,
        frames.start[odd],
        lengths[odd],
        lambda offset, _: f"the length at offset {offset} is none that etcd writes",
    )
    for part in chunks(frames.start.size):
        _add_frames(chain, segment, frames.start[part], frames.end[part], frames.stop[part])
    rest = frames.rest
    if frames.claim:
        reason = (
            f"{name}: the frame at offset {rest} is of {frames.claim:,} bytes, the file ends at {buffer.size:,}: torn"
        )
        chain.gaps.append(Gap(name, rest, buffer.size - rest, reason))
    if rest < buffer.size and buffer.nonzero(np.array([rest]), np.array([buffer.size]))[0]:
        chain.unframed.append((segment.number, rest, buffer.size))


def _add_frames(chain: Chain, segment: Segment, at: Ints, end: Ints, stop: Ints) -> None:
    """Add the records of some frames to the chain, and gaps and unframed bytes for invalid frames."""
    name, buffer = segment.name, segment.buffer
    # walpb.Record: type, crc and data as columns of the frames
    regular, (kind, crc, data) = wire.messages(buffer, at + wire.LENGTH_FIELD, end, (b"\x08", b"\x10", b"\x1a"))
    # every segment begins with a checksum, and all other records hold data
    regular &= kind.present & ((kind.value == CRC) | ((data.stop > data.value) & (at > 0)))
    rows = np.flatnonzero(regular)
    kinds, stored = kind.value[rows], np.where(crc.present[rows], crc.value[rows], 0) & 0xFFFFFFFF
    wal_accounts.add_frames(segment.ledger, at[rows], (kind.stop[rows], crc.stop[rows], data.value[rows]))
    records = Records(at[rows], stop[rows], data.value[rows], data.stop[rows], np.ones(rows.size, np.bool_))
    _check_checksums(chain, segment, records, kinds, stored)
    invalid = ~regular
    invalid[rows] = (kinds < METADATA) | (kinds > SNAPSHOT)
    for record_type, add in (
        (SNAPSHOT, _add_snapshots),
        (METADATA, _add_metadata),
        (STATE, _add_commits),
        (ENTRY, _add_entries),
    ):
        same = np.flatnonzero(kinds == record_type)
        if same.size:
            invalid[rows[same]] = add(chain, segment, records.take(same))
    gaps = np.flatnonzero(invalid)

    def reason(offset: int, row: int) -> str:
        torn = segment.last and wire.zero_sector(buffer, offset, int(stop[gaps[row]]))
        what = "a torn write: a sector of it is zero" if torn else "no record that etcd writes"
        return f"the frame at offset {offset} is {what}"

    chain.add_gaps(name, at[gaps], (stop - at)[gaps], reason)
    # unframed bytes: each series of invalid frames from its first to its last, and padding that is not zero
    first = gaps[np.diff(gaps, prepend=-2) > 1]
    final = gaps[np.diff(gaps, append=at.size + 1) > 1]
    lengths = at[first[~regular[first]]]  # a regular frame is in the ledger already
    segment.ledger.add(Account.STRUCTURE, lengths, lengths + wire.LENGTH_FIELD)
    padding = np.flatnonzero(
        ~invalid & (stop > end) & (buffer.words(end) << (8 * (end + 8 - stop)).astype(np.uint64) != 0)
    )
    for begins, ends in ((at[first] + wire.LENGTH_FIELD, stop[final]), (end[padding], stop[padding])):
        chain.unframed += [(segment.number, *pair) for pair in zip(begins.tolist(), ends.tolist(), strict=True)]


def _check_checksums(chain: Chain, segment: Segment, records: Records, kinds: Ints, stored: Ints) -> None:
    """Mark the sound records: each checksum continues the one before it.

    CRC-32C of the record's data, seeded with the stored checksum before it; a checksum record has no data.
    """
    seeds = np.concatenate((np.array([chain.crc]), stored))[: stored.size]
    ends = np.where(kinds == CRC, records.start, records.end)
    view, checksum = memoryview(segment.buffer.data.data), crc32c.crc32c
    rows = zip(records.start.tolist(), ends.tolist(), seeds.tolist(), strict=True)
    actual = np.fromiter((checksum(view[start:end], seed) for start, end, seed in rows), np.int64, stored.size)
    # the chain may begin at any segment: before its first checksum the seed is unknown
    records.sound[:] = (actual == stored) | ((kinds == CRC) & (seeds == 0))
    bad = np.flatnonzero(~records.sound)

    def reason(offset: int, row: int) -> str:
        return f"the record at offset {offset} has the checksum {stored[bad[row]]:08x}, expected {actual[bad[row]]:08x}"

    chain.add_gaps(segment.name, records.at[bad], (records.stop - records.at)[bad], reason)
    chain.crc = int(stored[-1]) if stored.size else chain.crc


def _add_entries(chain: Chain, segment: Segment, records: Records) -> Bools:
    """Add the puts of entries to the chain; returns, as all of these functions do, which records do not decode."""
    columns = wire.entries(segment.buffer, records.start, records.end)
    regular, indices, puts = columns.regular, columns.raft_index, columns.puts
    wal_accounts.add_entries(segment.ledger, records, columns)
    broken, other_puts = np.zeros(regular.size, np.bool_), array("q")
    for row in np.flatnonzero(~regular).tolist():
        start, raw = int(records.start[row]), records.raw(segment.buffer, row)
        try:
            entry = raft.entry(raw, 0, len(raw))
        except WireError:
            broken[row] = True
            continue
        broken[row] = entry.raft_index > LARGEST
        indices[row] = min(entry.raft_index, LARGEST)
        wal_accounts.add(segment.ledger, start, raw, requests.account_entry)
        chain.passwords += entry.passwords
        for put in () if broken[row] else entry.puts:
            other_puts.extend((row, start + put.key_at, put.key_len, start + put.value_at, put.value_len))
    puts = np.concatenate((puts, np.array(other_puts, np.int64).reshape(-1, 5)))
    puts = puts[np.argsort(puts[:, 0], kind="stable")]
    # the first column from a row of these records to the number of an entry of the chain
    puts[:, 0] = (np.cumsum(~broken) - 1)[puts[:, 0]] + chain.entries
    chain.puts[-1].append(puts)
    entries = np.flatnonzero(~broken)
    chain.entries += entries.size
    chain.indices.append(indices[entries])
    chain.sound.append(records.sound[entries])
    if entries.size:
        _check_order(chain, segment.name, records.at[entries], indices[entries])
    return broken


def _check_order(chain: Chain, name: str, at: Ints, indices: Ints) -> None:
    """An entry follows the one before it, replaces earlier ones, or follows a raft snapshot that was received."""
    last = int(indices[0]) - 1 if chain.last is None else chain.last
    before = np.concatenate((np.array([last]), indices[:-1]))
    jumps = np.flatnonzero(indices - 1 > np.maximum(before, chain.snapshot))

    def reason(offset: int, row: int) -> str:
        return f"the entry at offset {offset} is number {indices[jumps[row]]:,}, expected {before[jumps[row]] + 1:,}"

    chain.add_gaps(name, at[jumps], np.zeros(jumps.size, np.int64), reason)
    chain.last = int(indices[-1])


def _add_commits(chain: Chain, segment: Segment, records: Records) -> Bools:
    """The commit index of the last raftpb.HardState."""
    regular, (term, vote, commit) = wire.messages(segment.buffer, records.start, records.end, wire.NUMBERS)
    broken = ~(regular & term.present & vote.present & (commit.value >= 0))
    wal_accounts.add_whole(segment.ledger, records, ~broken)
    for row in np.flatnonzero(broken).tolist():
        raw = records.raw(segment.buffer, row)
        wal_accounts.add(segment.ledger, int(records.start[row]), raw, requests.account_state)
        with suppress(WireError):
            commit.value[row] = min(raft.commit(raw, 0, len(raw)), LARGEST)
            broken[row] = False
    if (sound := commit.value[~broken]).size:
        chain.commit = int(sound[-1])
    return broken


def _add_metadata(chain: Chain, segment: Segment, records: Records) -> Bools:
    """Ids of node and cluster, the same in every segment (etcdserverpb.Metadata)."""
    messages = [protobuf_wire.numbers(records.raw(segment.buffer, row)) for row in range(records.at.size)]
    for row in range(records.at.size):
        raw = records.raw(segment.buffer, row)
        wal_accounts.add(segment.ledger, int(records.start[row]), raw, requests.account_metadata)
    members = [(message.get(1, 0), message.get(2, 0)) if message else None for message in messages]
    chain.members |= dict.fromkeys(member for member in members if member)
    first = next(iter(chain.members), None)
    other = np.array([member is not None and member != first for member in members])
    expected = "of another member, expected {} of cluster {}".format(*map(hex_id, first or (0, 0)))
    lengths = (records.stop - records.at)[other]
    chain.add_gaps(segment.name, records.at[other], lengths, lambda at, _: f"metadata at offset {at} {expected}")
    return np.array([member is None for member in members])


def _add_snapshots(chain: Chain, segment: Segment, records: Records) -> Bools:
    """The highest raft index of a walpb.Snapshot."""
    messages = [protobuf_wire.numbers(records.raw(segment.buffer, row)) for row in range(records.at.size)]
    for row in range(records.at.size):
        raw = records.raw(segment.buffer, row)
        wal_accounts.add(segment.ledger, int(records.start[row]), raw, requests.account_snapshot)
    chain.snapshot = max((chain.snapshot, *(min(message.get(1, 0), LARGEST) for message in messages if message)))
    return np.array([not message for message in messages])
