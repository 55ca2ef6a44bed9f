"""Snapshots of raft: the databases as they were at an entry of the log, and the files that describe them.

canonical/dqlite src/fsm.c (SNAPSHOT_HEADER, SNAPSHOT_DATABASE: a name, the size of the database and of its WAL, and
both); since 1.17 without a WAL. canonical/raft src/uv_snapshot.c (formatSnapshotMetaHeader), src/compress.c (LZ4).
"""

from dataclasses import dataclass, replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.errors import UnreadableEvidence
from auditor.evidence.dqlite import commands
from auditor.evidence.dqlite.checksum import crc
from auditor.evidence.kine import file_format, wal
from auditor.evidence.ledger import Account, Ledger
from auditor.model.evidence import Gap

WORD = 8
FORMAT = 1
_META, _METADATA = 4 * WORD, 4 * WORD
LARGEST_META = 1 << 20


@dataclass(frozen=True, slots=True)
class Copy:
    """One database of a snapshot: its pages, and behind them those of its WAL; columns of shape (n,)."""

    database: str
    page_size: int
    number: Ints
    at: Ints
    log: Bools
    """Whether it is a frame of the WAL."""
    current: Bools
    """Whether it is the newest committed image of its page."""


def read(buffer: Buffer, name: str, ledger: Ledger) -> tuple[list[Copy], list[Gap]]:
    """The databases of a snapshot, as far as they lie in it, and gaps for what does not hold together.

    Args:
        buffer: The snapshot, unpacked.
        name: Its name.
        ledger: Where what is structure is added.
    """
    form, count = (int.from_bytes(buffer.slice(at, WORD), "little") for at in (0, WORD))
    if form != FORMAT or buffer.size < 2 * WORD:
        reason = f"{name}: format {form} at offset 0, expected {FORMAT}: a snapshot that is only searched"
        return [], [Gap(name, 0, buffer.size, reason)]
    ledger.one(Account.STRUCTURE, 0, 2 * WORD)
    copies: list[Copy] = []
    gaps: list[Gap] = []
    at = 2 * WORD
    for number in range(1, count + 1):
        database, after = commands.text(buffer, at, buffer.size)
        if database is None or after + 2 * WORD > buffer.size:
            reason = f"{name}: no name of a database at offset {at:,}, where number {number:,} of {count:,} is"
            gaps.append(Gap(name, at, buffer.size - at, f"{reason} to begin: cut, or damaged"))
            return copies, gaps
        main, log = (int.from_bytes(buffer.slice(after + WORD * field, WORD), "little") for field in range(2))
        ledger.one(Account.STRUCTURE, at, after + 2 * WORD)
        at = after + 2 * WORD
        if not main + log:  # opened, and never written
            continue
        copy, found = _copy(buffer, (name, database), at, (main, log), ledger)
        gaps += found
        copies += [copy] if copy is not None else []
        if copy is None or main + log > buffer.size - at:
            return copies, gaps
        at += main + log
    if at < buffer.size:
        reason = f"{name}: {buffer.size - at:,} bytes behind its last database: only searched"
        gaps.append(Gap(name, at, buffer.size - at, reason))
    return copies, gaps


def _copy(
    buffer: Buffer, names: tuple[str, str], at: int, sizes: tuple[int, int], ledger: Ledger
) -> tuple[Copy | None, list[Gap]]:
    """One database, None where it is none.

    Args:
        buffer: The snapshot.
        names: Of the snapshot and of the database.
        at: Where the database begins.
        sizes: Bytes of the database and of its WAL, as the header says.
        ledger: As in read().
    """
    name, database = names
    end = log_at = min(at + sizes[0], buffer.size)
    gaps = []
    if sum(sizes) > buffer.size - at:
        reason = f"{name}: {database} has {sum(sizes):,} bytes at offset {at:,}, {buffer.size - at:,} are there: cut"
        gaps.append(Gap(name, at, buffer.size - at, reason))
    frames = wal.nothing()
    log_end = min(log_at + sizes[1], buffer.size)
    size = _page_size(buffer, name, at) if sizes[0] else 0
    if log_at < log_end:
        frames = wal.read(Buffer(buffer.view(log_at, log_end)), name, size)
        gaps += [replace(gap, offset=gap.offset + log_at) for gap in frames.gaps]
        if frames.sound_header:
            ledger.one(Account.STRUCTURE, log_at, log_at + wal.HEADER)
        heads = (frames.at + log_at - wal.FRAME)[frames.sound]
        ledger.add(Account.STRUCTURE, heads, heads + wal.FRAME)
    size = size or frames.page_size
    if not size:
        reason = f"{name}: {database} at offset {at:,} is no SQLite database: only searched"
        return None, [*gaps, Gap(name, at, end - at, reason)]
    if ragged := (end - at) % size:
        reason = f"{name}: {end - at:,} bytes of {database} are no whole number of {size:,}-byte pages"
        gaps.append(Gap(name, end - ragged, ragged, reason))
    count = (end - at) // size
    number = np.concatenate((np.arange(1, count + 1, dtype=np.int64), frames.number))
    log = np.arange(number.size) >= count
    current = np.ones(number.size, np.bool_)
    current[count:] = frames.current
    current[:count] = ~np.isin(number[:count], frames.number[frames.current])
    if frames.pages:
        current &= number <= frames.pages
    offset = np.concatenate((at + size * np.arange(count, dtype=np.int64), frames.at + log_at))
    return Copy(database, size, number, offset, log, current), gaps


def _page_size(buffer: Buffer, name: str, at: int) -> int:
    try:
        return file_format.header(buffer.slice(at, file_format.HEADER), name).page_size
    except UnreadableEvidence:
        return 0


def meta(buffer: Buffer, name: str, ledger: Ledger) -> tuple[int | None, list[Gap]]:
    """The voters of the cluster by the description of a snapshot, None where they are not known, and gaps."""
    fields = [int.from_bytes(buffer.slice(WORD * field, WORD), "little") for field in range(4)]
    size = fields[3]
    if buffer.size < _META or fields[0] != FORMAT or not 0 < size <= LARGEST_META or _META + size > buffer.size:
        return None, [Gap(name, 0, buffer.size, f"{name} is no description of a snapshot: damaged, or cut")]
    if crc(buffer.slice(2 * WORD, 2 * WORD), buffer.slice(_META, size)) != fields[1]:
        return None, [Gap(name, WORD, WORD, f"{name}: its checksum at offset 8 does not hold")]
    voters = commands.voters(buffer, _META, size)
    ledger.one(Account.STRUCTURE, 0, WORD)
    ledger.one(Account.CHECKSUM, WORD, 2 * WORD)
    ledger.one(Account.STRUCTURE, 2 * WORD, _META + (size if voters is not None else 0))
    return voters, []


def metadata(buffer: Buffer, name: str, ledger: Ledger) -> list[Gap]:
    """Gaps of a file with term and vote."""
    if buffer.size != _METADATA or int.from_bytes(buffer.slice(0, WORD), "little") != FORMAT:
        return [Gap(name, 0, buffer.size, f"{name} is no term and vote of raft's: damaged, or cut")]
    ledger.one(Account.STRUCTURE, 0, _METADATA)
    return []
