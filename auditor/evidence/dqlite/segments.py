"""Segments of raft's log: batches of entries behind a header, each with two checksums.

canonical/raft src/uv_encoding.c (uvEncodeBatchHeader), src/uv_segment.c (uvLoadEntriesBatch, uvSegmentLoadOpen); the
same since raft 0.9, and in dqlite since 1.17, which contains it. All numbers are little-endian.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.columns import Columns
from auditor.arrays.dtypes import Ints
from auditor.evidence.dqlite import names
from auditor.evidence.dqlite.checksum import crc
from auditor.evidence.ledger import Account, Ledger
from auditor.model.evidence import Gap

FORMAT = 8
"""Bytes of the format at the beginning of a file."""
CHECKSUMS, COUNT, HEADER = 8, 8, 16
"""Bytes of a batch's checksums, of its number of entries, and of the header of one."""
COMMAND, BARRIER, CHANGE = 1, 2, 3
WORD = 8
_HEADERS = np.dtype([("term", "<u8"), ("kind", "u1"), ("unused", "u1", 3), ("size", "<u4")])


@dataclass(frozen=True, slots=True)
class Entries(Columns):
    """Entries of one segment, in their order: columns of shape (n,)."""

    at: Ints
    """Offset of the data."""
    size: Ints
    kind: NDArray[np.uint8]
    """COMMAND, BARRIER or CHANGE."""
    sound: NDArray[np.bool_]
    """Whether the checksum of its batch holds."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The contents of one segment."""

    entries: Entries
    end: int
    """The position behind the last whole batch."""
    gaps: tuple[Gap, ...]


def read(buffer: Buffer, name: str, ledger: Ledger, *, open_: bool) -> Segment:
    """All batches, up to the first that does not hold together.

    Args:
        buffer: The file.
        name: Its name.
        ledger: Where what they are made of is added.
        open_: Whether it is an open segment: its end may be zeros.
    """
    none = Entries(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.bool_))
    head = buffer.slice(0, FORMAT)
    if head != names.FORMAT:
        if open_ and not _filled(buffer, 0):
            return Segment(none, 0, ())
        number = int.from_bytes(head, "little")
        reason = f"{name}: format {number} at offset 0, expected 1: its entries are not read, only searched"
        return Segment(none, 0, (Gap(name, 0, buffer.size, reason),))
    ledger.one(Account.STRUCTURE, 0, FORMAT)
    parts, at, fault = [none], FORMAT, ""
    while at < buffer.size and not fault:
        batch, after, fault = _batch(buffer, at, ledger)
        if batch is not None:
            parts.append(batch)
            at = after
    gaps = []
    if fault and not (open_ and not _filled(buffer, at)):
        reason = f"{name}: the batch at offset {at:,} {fault}: torn, or damaged; what follows is only searched"
        gaps.append(Gap(name, at, buffer.size - at, reason))
    return Segment(Entries.concatenate(parts), at, tuple(gaps))


def _batch(buffer: Buffer, at: int, ledger: Ledger) -> tuple[Entries | None, int, str]:
    """The entries of the batch at an offset, None where its header does not hold, the position behind it, and what
    does not hold.
    """
    start = at + CHECKSUMS
    count = int.from_bytes(buffer.slice(start, COUNT), "little")
    first = start + COUNT + HEADER * count
    if not count or first > buffer.size:
        return None, at, f"counts {count:,} entries, for which the file has no room" if count else "counts no entry"
    stored = buffer.slice(at, CHECKSUMS)
    if crc(buffer.slice(start, first - start)) != int.from_bytes(stored[:4], "little"):
        return None, at, "has a header whose checksum does not hold"
    headers = np.frombuffer(buffer.slice(start + COUNT, HEADER * count), _HEADERS)
    size, kind = headers["size"].astype(np.int64), headers["kind"].copy()
    ends = first + np.cumsum(size)
    if not np.isin(kind, (COMMAND, BARRIER, CHANGE)).all() or (size % WORD).any():
        return None, at, "has an entry of no known kind"
    ledger.one(Account.STRUCTURE, start, first)
    whole = int(ends[-1]) <= buffer.size
    sound = whole and crc(buffer.slice(first, int(ends[-1]) - first)) == int.from_bytes(stored[4:], "little")
    if sound:
        ledger.one(Account.CHECKSUM, at, start)
    else:
        ledger.one(Account.CHECKSUM, at, at + 4)
    entries = Entries(ends - size, size, kind, np.full(count, sound, np.bool_))
    if sound:
        return entries, int(ends[-1]), ""
    fault = "has data whose checksum does not hold" if whole else "reaches past the end of the file"
    return entries.take(ends <= buffer.size), at, fault


def _filled(buffer: Buffer, at: int) -> bool:
    start, end = np.array([at], np.int64), np.array([buffer.size], np.int64)
    return bool(buffer.nonzero(start, end).any())
