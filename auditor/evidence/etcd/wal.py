"""etcd's write-ahead log: frames, their chained checksums, and the values that its entries put.

Format: etcd server/storage/wal (encoder.go, decoder.go, wal.go, repair.go) and walpb/record.proto. Frames are found
one by one, since each says where the next begins; what they hold is read as columns. Entries of another shape than
kube-apiserver's are left to raft.entry, which knows them all.
"""

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import crc32c
import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks
from auditor.evidence import protobuf_wire
from auditor.evidence.batch import MOST_ROWS, RecordBatch
from auditor.evidence.etcd import raft, wire
from auditor.evidence.etcd.wire import Records
from auditor.evidence.gaps import listed
from auditor.evidence.protobuf_wire import WireError
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place, State
from auditor.text import hex_id

METADATA, ENTRY, STATE, CRC, SNAPSHOT = 1, 2, 3, 4, 5
_SEGMENT = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.wal\Z")
LARGEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Log:
    """What a chain of WAL files holds.

    batches: the puts, place WAL, positions in their files, order the raft index. tails: index of a file, start and
    end of bytes that no frame accounts for and that are not all zero. commit: the last HardState's.
    """

    batches: tuple[RecordBatch, ...]
    gaps: tuple[Gap, ...]
    unframed: tuple[tuple[int, int, int], ...]
    first: int | None
    last: int | None
    commit: int
    members: tuple[tuple[int, int], ...]
    notes: tuple[str, ...]


@dataclass
class _Chain:
    """What has been read so far, over all files. puts: of each file, columns as raft's Put after an entry's number."""

    gaps: list[Gap] = field(default_factory=list)
    tails: list[tuple[int, int, int]] = field(default_factory=list)
    puts: list[list[Ints]] = field(default_factory=list)
    indices: list[Ints] = field(default_factory=lambda: [np.zeros(0, np.int64)])
    sound: list[Bools] = field(default_factory=lambda: [np.zeros(0, np.bool_)])
    members: dict[tuple[int, int], None] = field(default_factory=dict)
    entries: int = 0
    last: int | None = None
    crc: int = 0
    commit: int = 0
    snapshot: int = 0
    passwords: int = 0

    def list(self, name: str, at: Ints, length: Ints, why: Callable[[int, int], str]) -> None:
        """Gaps at these offsets; why: what is wrong at an offset, and which of `at` it is."""

        def one(row: int) -> Gap:
            offset = int(at[row])
            return Gap(name, offset, int(length[row]), f"{name}: {why(offset, row)}")

        def rest(more: Ints) -> Gap:
            first = int(at[more[0]])
            reason = f"{name}: {more.size:,} more from offset {first} on, not listed, like the one before"
            return Gap(name, first, int(length[more].sum()), reason)

        self.gaps += listed(np.arange(at.size), one, rest)


def read(files: Sequence[tuple[str, Buffer]], applied: int | None) -> Log:
    """Read segments as one chain, in the order given. applied: the raft index up to which a backend has them."""
    chain = _Chain()
    before = None
    for number, (name, buffer) in enumerate(files):
        chain.puts.append([np.zeros((0, 5), np.int64)])
        found = len(chain.gaps)
        if mine := _SEGMENT.search(name):
            _follows(chain, name, before, int(mine[1], 16), int(mine[2], 16))
        before = int(mine[1], 16) if mine else None
        _segment(chain, name, buffer, last=number == len(files) - 1)
        chain.gaps[found:] = sorted(chain.gaps[found:], key=lambda gap: gap.offset)
    indices, sound = np.concatenate(chain.indices), np.concatenate(chain.sound)
    states = _states(indices, sound, chain.commit, applied)
    return Log(
        batches=tuple(
            batch
            for (name, buffer), puts in zip(files, chain.puts, strict=True)
            for batch in _batches(name, buffer, np.concatenate(puts), indices, states)
        ),
        gaps=tuple(chain.gaps),
        unframed=tuple(chain.tails),
        first=int(indices.min()) if indices.size else None,
        last=int(indices.max()) if indices.size else None,
        commit=chain.commit,
        members=tuple(chain.members),
        notes=tuple(_notes(chain, states)),
    )


def _follows(chain: _Chain, name: str, before: int | None, mine: int, index: int) -> None:
    """A segment's name tells its number, and the raft index behind the last entry before it (wal.go, cut)."""
    if before is None:
        chain.last = min(max(index, 1) - 1, LARGEST)
    elif mine != before + 1:
        chain.gaps.append(Gap(name, 0, 0, f"{name}: segment {before + 1:016x} before it is missing"))
    elif chain.last is not None and index not in (chain.last + 1, chain.snapshot + 1):
        reason = f"{name}: its name begins at entry {index:,}, expected {chain.last + 1:,} after the segment before it"
        chain.gaps.append(Gap(name, 0, 0, reason))


def _segment(chain: _Chain, name: str, buffer: Buffer, *, last: bool) -> None:
    """All frames of one file."""
    at, ends, stops, odd, rest, claimed = wire.frames(buffer)
    chain.list(
        name, at[odd], (stops - at)[odd], lambda offset, _: f"the length at offset {offset} is none that etcd writes"
    )
    for part in chunks(at.size):
        _frames(chain, name, buffer, at[part], ends[part], stops[part], last=last)
    if claimed:
        reason = f"{name}: the frame at offset {rest} is of {claimed:,} bytes, the file ends at {buffer.size:,}: torn"
        chain.gaps.append(Gap(name, rest, buffer.size - rest, reason))
    if rest < buffer.size and buffer.nonzero(np.array([rest]), np.array([buffer.size]))[0]:
        chain.tails.append((len(chain.puts) - 1, rest, buffer.size))


def _frames(chain: _Chain, name: str, buffer: Buffer, at: Ints, end: Ints, stop: Ints, *, last: bool) -> None:
    """Some frames of one file: their records into the chain, gaps and tails for those that hold none."""
    whole, (kind, crc, data) = wire.messages(buffer, at + wire.LENGTH_FIELD, end, (b"\x08", b"\x10", b"\x1a"))
    # every segment begins with a checksum, and all other records hold data
    whole &= kind.present & ((kind.value == CRC) | ((data.stop > data.value) & (at > 0)))
    rows = np.flatnonzero(whole)
    kinds, stored = kind.value[rows], np.where(crc.present[rows], crc.value[rows], 0) & 0xFFFFFFFF
    records = Records(at[rows], stop[rows], data.value[rows], data.stop[rows], np.ones(rows.size, np.bool_))
    _checksums(chain, name, buffer, records, kinds, stored)
    bad = ~whole
    bad[rows] = (kinds < METADATA) | (kinds > SNAPSHOT)
    for each, take in ((SNAPSHOT, _snapshots), (METADATA, _metadata), (STATE, _commits), (ENTRY, _entries)):
        mine = np.flatnonzero(kinds == each)
        if mine.size:
            bad[rows[mine]] = take(chain, name, buffer, records.take(mine))
    wrong = np.flatnonzero(bad)

    def why(offset: int, row: int) -> str:
        torn = last and wire.zero_sector(buffer, offset, int(stop[wrong[row]]))
        what = "a torn write: a sector of it is zero" if torn else "no record that etcd writes"
        return f"the frame at offset {offset} is {what}"

    chain.list(name, at[wrong], (stop - at)[wrong], why)
    first = wrong[np.diff(wrong, prepend=-2) > 1]
    final = wrong[np.diff(wrong, append=at.size + 1) > 1]
    padded = np.flatnonzero(~bad & (stop > end) & (buffer.words(end) << (8 * (end + 8 - stop)).astype(np.uint64) != 0))
    for begins, ends in ((at[first] + wire.LENGTH_FIELD, stop[final]), (end[padded], stop[padded])):
        chain.tails += [(len(chain.puts) - 1, *pair) for pair in zip(begins.tolist(), ends.tolist(), strict=True)]


def _checksums(chain: _Chain, name: str, buffer: Buffer, records: Records, kinds: Ints, stored: Ints) -> None:
    """Each record's checksum goes on from the one before: CRC-32C of its data, a checksum record's of none."""
    seeds = np.concatenate((np.array([chain.crc]), stored))[: stored.size]
    ends = np.where(kinds == CRC, records.start, records.end)
    view, checksum = memoryview(buffer.data.data), crc32c.crc32c
    rows = zip(records.start.tolist(), ends.tolist(), seeds.tolist(), strict=True)
    found = np.fromiter((checksum(view[start:end], seed) for start, end, seed in rows), np.int64, stored.size)
    # a reader may begin at any segment: nothing is known before its first checksum
    records.sound[:] = (found == stored) | ((kinds == CRC) & (seeds == 0))
    bad = np.flatnonzero(~records.sound)

    def why(offset: int, row: int) -> str:
        return f"the record at offset {offset} has the checksum {stored[bad[row]]:08x}, expected {found[bad[row]]:08x}"

    chain.list(name, records.at[bad], (records.stop - records.at)[bad], why)
    chain.crc = int(stored[-1]) if stored.size else chain.crc


def _entries(chain: _Chain, name: str, buffer: Buffer, records: Records) -> Bools:
    """The puts of entries into the chain. Answers, as all of these do, which records do not decode."""
    known, indices, puts = wire.entries(buffer, records.start, records.end)
    broken, more = np.zeros(known.size, np.bool_), array("q")
    for row in np.flatnonzero(~known).tolist():
        start, raw = int(records.start[row]), records.raw(buffer, row)
        try:
            entry = raft.entry(raw, 0, len(raw))
        except WireError:
            broken[row] = True
            continue
        broken[row] = entry.raft_index > LARGEST
        indices[row] = min(entry.raft_index, LARGEST)
        chain.passwords += entry.passwords
        for put in () if broken[row] else entry.puts:
            more.extend((row, start + put.key_at, put.key_len, start + put.value_at, put.value_len))
    puts = np.concatenate((puts, np.array(more, np.int64).reshape(-1, 5)))
    puts = puts[np.argsort(puts[:, 0], kind="stable")]
    puts[:, 0] = (np.cumsum(~broken) - 1)[puts[:, 0]] + chain.entries
    chain.puts[-1].append(puts)
    kept = np.flatnonzero(~broken)
    chain.entries += kept.size
    chain.indices.append(indices[kept])
    chain.sound.append(records.sound[kept])
    if kept.size:
        _ascend(chain, name, records.at[kept], indices[kept])
    return broken


def _ascend(chain: _Chain, name: str, at: Ints, indices: Ints) -> None:
    """An entry follows the one before it, replaces earlier ones, or follows a raft snapshot that was received."""
    last = int(indices[0]) - 1 if chain.last is None else chain.last
    before = np.concatenate((np.array([last]), indices[:-1]))
    jumps = np.flatnonzero(indices - 1 > np.maximum(before, chain.snapshot))

    def why(offset: int, row: int) -> str:
        return f"the entry at offset {offset} is number {indices[jumps[row]]:,}, expected {before[jumps[row]] + 1:,}"

    chain.list(name, at[jumps], np.zeros(jumps.size, np.int64), why)
    chain.last = int(indices[-1])


def _commits(chain: _Chain, _: str, buffer: Buffer, records: Records) -> Bools:
    known, (term, vote, commit) = wire.messages(buffer, records.start, records.end, wire.NUMBERS)
    broken = ~(known & term.present & vote.present & (commit.value >= 0))
    for row in np.flatnonzero(broken).tolist():
        raw = records.raw(buffer, row)
        with suppress(WireError):
            commit.value[row] = min(raft.commit(raw, 0, len(raw)), LARGEST)
            broken[row] = False
    if (sound := commit.value[~broken]).size:
        chain.commit = int(sound[-1])
    return broken


def _metadata(chain: _Chain, name: str, buffer: Buffer, records: Records) -> Bools:
    """The same node and cluster in every segment."""
    said = [protobuf_wire.numbers(records.raw(buffer, row)) for row in range(records.at.size)]
    members = [(each.get(1, 0), each.get(2, 0)) if each else None for each in said]
    chain.members |= dict.fromkeys(member for member in members if member)
    first = next(iter(chain.members), None)
    other = np.array([member is not None and member != first for member in members])
    expected = "of another member, expected {} of cluster {}".format(*map(hex_id, first or (0, 0)))
    lengths = (records.stop - records.at)[other]
    chain.list(name, records.at[other], lengths, lambda at, _: f"metadata at offset {at} {expected}")
    return np.array([member is None for member in members])


def _snapshots(chain: _Chain, _: str, buffer: Buffer, records: Records) -> Bools:
    said = [protobuf_wire.numbers(records.raw(buffer, row)) for row in range(records.at.size)]
    chain.snapshot = max((chain.snapshot, *(min(each.get(1, 0), LARGEST) for each in said if each)))
    return np.array([not each for each in said])


def _states(indices: Ints, sound: Bools, commit: int, applied: int | None) -> NDArray[np.uint8]:
    """An entry replaces those before it of its index and above: they were never committed. A damaged one does not."""
    least = np.minimum.accumulate(np.where(sound, indices, LARGEST)[::-1])[::-1]
    replaced = indices >= np.concatenate((least[1:], np.array([LARGEST])))[: indices.size]
    later = LARGEST if applied is None else applied
    pending = np.where(indices > later, State.NOT_YET_APPLIED, 0)
    states = np.where(replaced, State.SUPERSEDED, np.where(indices > commit, State.UNCOMMITTED, pending))
    return (states | np.where(sound, 0, State.BAD_CHECKSUM)).astype(np.uint8)


def _notes(chain: _Chain, states: NDArray[np.uint8]) -> Iterator[str]:
    for flag, what in (
        (State.SUPERSEDED, "entries of the WAL are replaced by a later leader's: their values may stand nowhere else"),
        (State.UNCOMMITTED, "entries of the WAL are not committed: their values may stand nowhere else"),
        (State.NOT_YET_APPLIED, "committed entries of the WAL are applied at etcd's next start"),
    ):
        if count := int(np.count_nonzero(states & flag)):
            yield f"{count:,} {what}"
    if chain.passwords:
        yield f"{chain.passwords:,} requests in the WAL hold a password of an etcd user in clear"


def _batches(name: str, buffer: Buffer, puts: Ints, indices: Ints, states: NDArray[np.uint8]) -> Iterator[RecordBatch]:
    for begin in range(0, len(puts), MOST_ROWS):
        entry, key_at, key_len, value_at, value_len = puts[begin : begin + MOST_ROWS].T
        yield RecordBatch.of(
            name,
            buffer,
            mapped=True,
            place=Place.WAL,
            key_at=key_at.copy(),
            key_len=key_len,
            value_at=value_at.copy(),
            value_len=value_len,
            ordinal=indices[entry],
            state=states[entry],
        )
