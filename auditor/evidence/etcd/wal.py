"""etcd's write-ahead log: a chain of segments, the values that its entries put, and what became of each.

Format: etcd server/storage/wal/wal.go (names of segments, cut); wal_records.py has that of a segment.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.evidence.batch import MOST_ROWS, RecordBatch
from auditor.evidence.etcd import wal_records
from auditor.evidence.etcd.wal_records import LARGEST, Chain, Segment
from auditor.evidence.ledger import Ledger
from auditor.model.evidence import Gap
from auditor.model.vocabulary import Place, State
from auditor.text import plural

UNWRITTEN = 64
"""Zeros at the end of a segment by which it is one that etcd still writes: no record ends in so many."""
_SEGMENT = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.wal\Z")
"""A segment's name: its sequence number, and the raft index of its first entry."""


@dataclass(frozen=True, slots=True)
class WalContents:
    """The contents of a chain of WAL segments."""

    batches: tuple[RecordBatch, ...]
    """The puts: place WAL, positions in their files, ordinal the raft index."""
    gaps: tuple[Gap, ...]
    unframed: tuple[tuple[int, int, int], ...]
    """Number of a segment, start and end of bytes in it that no frame accounts for and that are not all zero."""
    ledgers: tuple[Ledger, ...]
    """Of each segment."""
    first: int | None
    """Lowest raft index."""
    last: int | None
    """Highest raft index."""
    commit: int
    """Commit index of the last HardState."""
    members: tuple[tuple[int, int], ...]
    """Ids of node and cluster, several where segments of different members are mixed."""
    notes: tuple[str, ...]


def read(files: Sequence[tuple[str, Buffer]], applied: int | None) -> WalContents:
    """The contents of segments, as one chain in the order of `files`.

    applied: the raft index up to which the backend has the entries; None where it is unknown.
    """
    chain = Chain()
    before = None
    ledgers: list[Ledger] = []
    for number, (name, buffer) in enumerate(files):
        chain.puts.append([np.zeros((0, 5), np.int64)])
        gap_count = len(chain.gaps)
        if match := _SEGMENT.search(name):
            _check_name(chain, name, before, int(match[1], 16), int(match[2], 16))
        before = int(match[1], 16) if match else None
        segment = Segment(number, name, buffer, Ledger(name, buffer.size), last=number == len(files) - 1)
        ledgers.append(segment.ledger)
        wal_records.read(chain, segment)
        chain.gaps[gap_count:] = sorted(chain.gaps[gap_count:], key=lambda gap: gap.offset)
    indices, sound = np.concatenate(chain.indices), np.concatenate(chain.sound)
    states = _states(indices, sound, max(chain.commit, applied or 0), applied)
    missing = list(_missing(chain, files, indices, applied)) if files and applied is not None else []
    chain.gaps += missing
    return WalContents(
        batches=tuple(
            batch
            for (name, buffer), puts in zip(files, chain.puts, strict=True)
            for batch in _batches(name, buffer, np.concatenate(puts), indices, states)
        ),
        gaps=tuple(chain.gaps),
        unframed=tuple(chain.unframed),
        ledgers=tuple(ledgers),
        first=int(indices.min()) if indices.size else None,
        last=int(indices.max()) if indices.size else None,
        commit=chain.commit,
        members=tuple(chain.members),
        notes=tuple(_notes(chain, states, 0 if missing else applied or 0)),
    )


def _check_name(chain: Chain, name: str, before: int | None, sequence: int, index: int) -> None:
    """A segment's name has its sequence number, and the raft index behind the last entry before it (wal.go, cut)."""
    if before is None:
        chain.last = min(max(index, 1) - 1, LARGEST)
    elif sequence != before + 1:
        chain.gaps.append(Gap(name, 0, 0, f"{name}: segment {before + 1:016x} before it is missing"))
    elif chain.last is not None and index not in (chain.last + 1, chain.snapshot + 1):
        reason = f"{name}: its name begins at entry {index:,}, expected {chain.last + 1:,} after the segment before it"
        chain.gaps.append(Gap(name, 0, 0, reason))


def _missing(chain: Chain, files: Sequence[tuple[str, Buffer]], indices: Ints, applied: int) -> Iterator[Gap]:
    """Gaps for entries that the log must have and has not.

    etcd writes an entry before it commits it, and commits it before the backend has it (server/etcdserver/raft.go);
    what a raft snapshot covers is purged. It allocates 64 MB for the segment that it writes, and cuts what it has not
    written off where the next one begins (server/storage/wal/wal.go, cut).

    Args:
        chain: What was read.
        files: The segments.
        indices: Raft index of each entry.
        applied: The raft index up to which the backend has the entries.
    """
    last = max(chain.last or 0, chain.snapshot)
    (name, buffer), reason = files[-1], ""
    if last < chain.commit:
        reason = f"the log ends at entry {last:,}, and says that {chain.commit:,} are committed"
    elif last < applied and any(buffer.slice(max(buffer.size - UNWRITTEN, 0), UNWRITTEN)):
        reason = f"the log ends at entry {last:,} in a segment that is full, and the database has applied {applied:,}"
    if reason:
        yield Gap(name, 0, 0, f"{name}: {reason}: its end is missing")
    first = int(indices.min()) if indices.size else 0
    if first > max(applied, chain.snapshot) + 1:
        reason = f"the log begins at entry {first:,}, and the database has applied {applied:,}: entries are missing"
        yield Gap(files[0][0], 0, 0, f"{files[0][0]}: {reason}")


def _states(indices: Ints, sound: Bools, commit: int, applied: int | None) -> NDArray[np.uint8]:
    """The State of each entry: an intact one replaces those before it of its index and above, never committed."""
    # least: the lowest index from each entry on
    least = np.minimum.accumulate(np.where(sound, indices, LARGEST)[::-1])[::-1]
    replaced = indices >= np.concatenate((least[1:], np.array([LARGEST])))[: indices.size]
    later = LARGEST if applied is None else applied
    pending = np.where(indices > later, State.NOT_YET_APPLIED, 0)
    states = np.where(replaced, State.SUPERSEDED, np.where(indices > commit, State.UNCOMMITTED, pending))
    return (states | np.where(sound, 0, State.BAD_CHECKSUM)).astype(np.uint8)


def _notes(chain: Chain, states: NDArray[np.uint8], applied: int) -> Iterator[str]:
    """The remarks for the report. applied: 0 where a gap says that entries are missing."""
    if (last := max(chain.last or 0, chain.snapshot)) < applied:
        yield f"the WAL ends at entry {last:,}, and the database has applied {applied:,}: what lay behind is not here"
    for flag, kind, what in (
        (State.SUPERSEDED, "", "replaced by a later leader's; the values may stand nowhere else"),
        (State.UNCOMMITTED, "", "not committed; the values may stand nowhere else"),
        (State.NOT_YET_APPLIED, "committed ", "applied at etcd's next start"),
    ):
        if count := int(np.count_nonzero(states & flag)):
            entries = plural(count, f"{kind}entry", f"{kind}entries")
            yield f"{entries} of the WAL {'is' if count == 1 else 'are'} {what}"
    if chain.passwords:
        verb = "holds" if chain.passwords == 1 else "hold"
        yield f"{plural(chain.passwords, 'request')} in the WAL {verb} a password of an etcd user in clear"


def _batches(name: str, buffer: Buffer, puts: Ints, indices: Ints, states: NDArray[np.uint8]) -> Iterator[RecordBatch]:
    """The puts of one segment as batches of MOST_ROWS at most."""
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
