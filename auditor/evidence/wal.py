"""etcd's write-ahead log: frames, their chained checksums, and the values that its entries put.

Format: etcd server/storage/wal (encoder.go, decoder.go, wal.go, repair.go) and walpb/record.proto.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import crc32c
import numpy as np

from auditor.batch import UNKNOWN, Batch
from auditor.columns import Buffer
from auditor.evidence import raft
from auditor.evidence.wire import BYTES, VARINT, WireError, fields
from auditor.model import Gap, Place, State

METADATA, ENTRY, STATE, CRC, SNAPSHOT = 1, 2, 3, 4, 5
LENGTH_FIELD = 8
SECTOR = 512
BATCH = 1_000_000
ALIGNED = 8
_TOPS = frozenset({0, *range(0x81, 0x88)})
"""The highest byte of a length: nothing, or that padding follows and how much."""
_SEGMENT = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.wal\Z")


@dataclass(frozen=True, slots=True)
class Log:
    """What a chain of WAL files holds.

    batches: the puts, place WAL, positions in their files, order the raft index. tails: index of a file, start and
    end of bytes that no frame accounts for and that are not all zero. commit: the last HardState's.
    """

    batches: tuple[Batch, ...]
    gaps: tuple[Gap, ...]
    tails: tuple[tuple[int, int, int], ...]
    first: int | None
    last: int | None
    commit: int
    members: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


class _Row(NamedTuple):
    """One put, where it lies in its file, and which entry it belongs to."""

    entry: int
    put: raft.Put


@dataclass
class _Entry:
    index: int
    state: State


@dataclass
class _Chain:
    """What has been read so far, over all files."""

    rows: list[list[_Row]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    tails: list[tuple[int, int, int]] = field(default_factory=list)
    entries: list[_Entry] = field(default_factory=list)
    active: list[int] = field(default_factory=list)
    """Numbers of the entries that no later one has replaced, ascending by raft index."""
    members: dict[tuple[str, str], None] = field(default_factory=dict)
    crc: int = 0
    commit: int = 0
    snapshot: int = 0
    passwords: int = 0


class _Record(NamedTuple):
    kind: int
    crc: int
    start: int
    end: int


def read(files: Sequence[tuple[str, Buffer]], applied: int | None) -> Log:
    """Read segments as one chain, in the order given. applied: the raft index up to which a backend has them."""
    chain = _Chain()
    numbers = [_SEGMENT.search(name) for name, _ in files]
    for number, (name, buffer) in enumerate(files):
        mine, before = numbers[number], numbers[number - 1] if number else None
        if mine and before and int(mine[1], 16) != int(before[1], 16) + 1:
            reason = f"{name}: segment {int(before[1], 16) + 1:016x} before it is missing"
            chain.gaps.append(Gap(name, 0, 0, reason))
        chain.rows.append([])
        _segment(chain, number, name, buffer, last=number == len(files) - 1)
    if len(chain.members) > 1:
        chain.gaps.append(Gap(files[0][0], 0, 0, f"the segments are of {len(chain.members)} different members"))
    states = _states(chain, applied)
    indices = [entry.index for entry in chain.entries]
    return Log(
        batches=tuple(
            batch
            for (name, buffer), rows in zip(files, chain.rows, strict=True)
            for batch in _batches(chain, name, buffer, rows, states)
        ),
        gaps=tuple(chain.gaps),
        tails=tuple(chain.tails),
        first=min(indices, default=None),
        last=max(indices, default=None),
        commit=chain.commit,
        members=tuple(chain.members),
        notes=tuple(_notes(chain, states)),
    )


def _segment(chain: _Chain, number: int, name: str, buffer: Buffer, *, last: bool) -> None:
    """All frames of one file."""
    at = 0
    while at + LENGTH_FIELD <= buffer.size:
        (length,) = struct.unpack("<Q", buffer.slice(at, LENGTH_FIELD))
        if not length:
            break
        size, padding = length & (1 << 56) - 1, (length >> 56 & 7) if length >> 63 else 0
        start = at + LENGTH_FIELD
        end = start + size + padding
        if end > buffer.size:
            reason = f"{name}: the frame at offset {at} claims {size:,} bytes, the file ends at {buffer.size:,}: torn"
            chain.gaps.append(Gap(name, at, buffer.size - at, reason))
            break
        if length >> 56 not in _TOPS or (size + padding) % ALIGNED:
            chain.gaps.append(
                Gap(name, at, LENGTH_FIELD, f"{name}: the length at offset {at} is none that etcd writes")
            )
        raw = buffer.slice(start, size)
        try:
            record = _record(raw)
            _take(chain, number, name, at, raw, record)
        except WireError:
            torn = last and _torn(buffer, at, end)
            what = "a torn write: a sector of it is zero" if torn else "no record that etcd writes"
            chain.gaps.append(Gap(name, at, end - at, f"{name}: the frame at offset {at} is {what}"))
            chain.tails.append((number, start, end))
        if padding and buffer.slice(end - padding, padding).strip(b"\0"):
            chain.tails.append((number, end - padding, end))
        at = end
    rest = np.array([at]), np.array([buffer.size])
    if at < buffer.size and buffer.filled(*rest)[0]:
        chain.tails.append((number, at, buffer.size))


def _record(raw: bytes) -> _Record:
    kind = crc = start = end = 0
    for number, form, value, stop in fields(raw, 0, len(raw)):
        if number == 1 and form == VARINT:
            kind = value
        elif number == 2 and form == VARINT:
            crc = value
        elif number == 3 and form == BYTES:
            start, end = value, stop
        else:
            raise WireError  # the checksum covers the data alone
    return _Record(kind, crc, start, end)


def _take(chain: _Chain, number: int, name: str, at: int, raw: bytes, record: _Record) -> None:
    """One record into the chain. Raises WireError where its data do not decode."""
    good = True
    if record.kind == CRC:
        if chain.crc and chain.crc != record.crc:
            reason = f"{name}: the chain's checksum at offset {at} is {record.crc:08x}, expected {chain.crc:08x}"
            chain.gaps.append(Gap(name, at, len(raw), reason))
        chain.crc = record.crc
        return
    if record.start == record.end or not at:  # every segment begins with a checksum, and all other records hold data
        raise WireError
    found = crc32c.crc32c(raw[record.start : record.end], chain.crc)
    if found != record.crc:
        reason = f"{name}: the record at offset {at} has the checksum {record.crc:08x}, its bytes give {found:08x}"
        chain.gaps.append(Gap(name, at, len(raw), reason))
        good = False
    chain.crc = record.crc
    if record.kind == ENTRY:
        _entry(chain, number, name, at, raft.entry(raw, record.start, record.end), good=good)
    elif record.kind == STATE:
        chain.commit = raft.commit(raw, record.start, record.end)
    elif record.kind == METADATA:
        said = {each: value for each, form, value, _ in fields(raw, record.start, record.end) if form == VARINT}
        chain.members[f"{said.get(1, 0):x}", f"{said.get(2, 0):x}"] = None
    elif record.kind == SNAPSHOT:
        said = {each: value for each, form, value, _ in fields(raw, record.start, record.end) if form == VARINT}
        chain.snapshot = max(chain.snapshot, said.get(1, 0))
    else:
        raise WireError


def _entry(chain: _Chain, number: int, name: str, at: int, entry: raft.Entry, *, good: bool) -> None:
    """An entry replaces those of its index and above; what it replaces was never committed."""
    active = chain.active
    while active and chain.entries[active[-1]].index >= entry.number:
        chain.entries[active.pop()].state |= State.SUPERSEDED
    expected = chain.entries[active[-1]].index + 1 if active else entry.number
    if entry.number > max(expected, chain.snapshot + 1):
        reason = f"{name}: the entry at offset {at} is number {entry.number:,}, expected {expected:,}"
        chain.gaps.append(Gap(name, at, 0, reason))
    active.append(len(chain.entries))
    chain.entries.append(_Entry(entry.number, State(0) if good else State.BAD_CHECKSUM))
    chain.passwords += entry.passwords
    base = at + LENGTH_FIELD
    for put in entry.puts:
        placed = raft.Put(put.key_at + base, put.key_len, put.value_at + base, put.value_len)
        chain.rows[number].append(_Row(len(chain.entries) - 1, placed))


def _torn(buffer: Buffer, at: int, end: int) -> bool:
    """etcd's own rule: a write is torn where one of its sectors is all zero."""
    edges = [at, *range((at // SECTOR + 1) * SECTOR, end, SECTOR), end]
    starts = np.array(edges[:-1], np.int64)
    return not buffer.filled(starts, np.array(edges[1:], np.int64)).all()


def _states(chain: _Chain, applied: int | None) -> list[State]:
    states = []
    for entry in chain.entries:
        state = entry.state
        if not state & State.SUPERSEDED:
            if entry.index > chain.commit:
                state |= State.UNCOMMITTED
            elif applied is not None and entry.index > applied:
                state |= State.NOT_YET_APPLIED
        states.append(state)
    return states


def _notes(chain: _Chain, states: list[State]) -> list[str]:
    said = []
    for flag, what in ((State.SUPERSEDED, "replaced by a later leader's"), (State.UNCOMMITTED, "not committed")):
        if count := sum(bool(state & flag) for state in states):
            said.append(f"{count:,} entries of the WAL are {what}: their values may stand nowhere else")
    if pending := sum(bool(state & State.NOT_YET_APPLIED) for state in states):
        said.append(f"{pending:,} committed entries of the WAL are applied at etcd's next start")
    if chain.passwords:
        said.append(f"{chain.passwords:,} requests in the WAL hold a password of an etcd user in clear")
    return said


def _batches(chain: _Chain, name: str, buffer: Buffer, rows: list[_Row], states: list[State]) -> list[Batch]:
    found = []
    for begin in range(0, len(rows), BATCH):
        part = rows[begin : begin + BATCH]
        key_at, key_len, value_at, value_len = np.array([row.put for row in part], np.int64).T
        unknown = np.full(len(part), UNKNOWN, np.int64)
        found.append(
            Batch(
                source=name,
                data=buffer,
                mapped=True,
                key_at=key_at.copy(),
                key_len=key_len.astype(np.uint32),
                value_at=value_at.copy(),
                value_len=value_len.astype(np.uint32),
                main=unknown,
                sub=unknown,
                create=unknown,
                version=unknown,
                order=np.array([chain.entries[row.entry].index for row in part], np.int64),
                page=unknown,
                place=np.full(len(part), Place.WAL, np.uint8),
                state=np.array([states[row.entry] for row in part], np.uint8),
                extents={},
            )
        )
    return found
