"""SQLite's write-ahead log: its frames as columns, which of them count, and which are of earlier generations.

Format: sqlite.org fileformat2.html, section 4 (The Write-Ahead Log). The checksum is linear modulo 2^32: that of a
frame is a weighted sum of its words and of the checksum before it, so that all frames are checked at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks
from auditor.evidence.kine import file_format
from auditor.model.evidence import Gap
from auditor.model.vocabulary import State

HEADER, FRAME = 32, 24
INDEX = 48
VERSION = 3007000
AT_ONCE = 1 << 12
"""Frames of a batch."""


@dataclass(frozen=True, slots=True)
class WalFrames:
    """The frames of one file, in order: columns of shape (n,)."""

    page_size: int
    number: Ints
    """The number of the page."""
    at: Ints
    """Offset of the page's image."""
    current: Bools
    """Whether it is the newest committed image of its page."""
    state: NDArray[np.uint8]
    """Bits of State."""
    generation: Ints
    """The WAL generation: frames with one salt share a number."""
    until: Ints
    """The last frame of the transaction."""
    pages: int
    """Pages of the database after the last commit, 0 without one."""
    tail: int
    """Where the bytes behind the last whole frame begin."""
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]
    sound: Bools
    """Whether its checksum goes on from that of the frame before it, of whatever generation."""
    sound_header: bool = False
    """Whether the log's header is one."""
    committed: int = 0
    """Frames up to the last commit."""


def indexed(index: bytes, head: bytes) -> int:
    """The frames of a WAL that its index counts; 0 where the index is of another WAL, or empty.

    index: the beginning of the -shm file; head: that of the WAL, which may be empty. walformat.html, section 2.1 (the
    index's header, in the byte order of the machine that wrote it).
    """
    order: Literal["little", "big"] = "little" if index[:4] == VERSION.to_bytes(4, "little") else "big"
    if len(index) < INDEX or int.from_bytes(index[:4], order) != VERSION or not index[12]:
        return 0
    same_log = not head or index[32:40] == head[16:24]
    return int.from_bytes(index[16:20], order) if same_log else 0


def read(buffer: Buffer, name: str, page_size: int) -> WalFrames:
    """All frames. page_size: the database's, for a WAL with an invalid header; 0 where not known."""
    head = buffer.slice(0, HEADER)
    size, gaps = _page_size(head, name, page_size)
    if not size or buffer.size < HEADER:
        return nothing(gaps)
    counts = not gaps
    step = FRAME + size
    count = (buffer.size - HEADER) // step
    # columns of one row a frame; commit: pages of the database after a commit, 0 in other frames
    start = HEADER + step * np.arange(count, dtype=np.int64)
    number, commit = file_format.be32(buffer.words(start)), file_format.be32(buffer.words(start), 4)
    salts = buffer.words(start + 8)
    same_salt = salts == np.uint64(int.from_bytes(head[16:24], "little"))
    sound = _checksums(buffer, head, size, count) & (number > 0)
    valid = int(np.argmin(np.append(sound & same_salt, np.False_))) if counts else 0
    ends = np.flatnonzero(commit[:valid] > 0)
    committed = int(ends[-1]) + 1 if ends.size else 0
    current = _newest(number, committed)
    state = np.zeros(count, np.uint8)
    state[:] = State.SUPERSEDED
    state[current] = 0
    state[committed:valid] = State.UNCOMMITTED
    torn = np.flatnonzero(same_salt[valid:]) + valid if counts else np.zeros(0, np.int64)
    state[torn] = State.UNCOMMITTED | State.BAD_CHECKSUM
    tail = HEADER + step * count
    gaps += _unsound(name, start[torn], step, tail, buffer.size)
    changed = np.ones(count, np.bool_)
    np.not_equal(salts[1:], salts[:-1], out=changed[1:])
    stops = np.append(np.flatnonzero(commit > 0), count - 1 if count else 0)
    until = stops[np.searchsorted(stops[:-1], np.arange(count))]
    return WalFrames(
        page_size=size,
        number=number,
        at=start + FRAME,
        current=current,
        state=state,
        generation=np.cumsum(changed),
        until=until,
        pages=int(commit[committed - 1]) if committed else 0,
        tail=tail,
        gaps=tuple(gaps),
        notes=tuple(_notes(name, count, committed, valid, current)),
        sound=sound,
        sound_header=not _fault(head),
        committed=committed,
    )


def _unsound(name: str, torn: Ints, step: int, tail: int, size: int) -> Iterator[Gap]:
    """The gaps of a log whose header holds.

    Args:
        name: The file.
        torn: Offsets of the frames of this round that do not hold.
        step: Bytes of a frame with its header.
        tail: The position behind the last whole frame.
        size: Bytes of the file.
    """
    if torn.size:
        reason = f"{name}: {torn.size:,} frames of this round of the log from offset {torn[0]:,} on do not hold"
        yield Gap(name, int(torn[0]), int(torn.size) * step, f"{reason}: SQLite ends the log before them")
    if tail < size:
        yield Gap(name, tail, size - tail, f"{name}: {size - tail:,} bytes behind the last whole frame: cut, or torn")


def _page_size(head: bytes, name: str, page_size: int) -> tuple[int, list[Gap]]:
    """The page size, 0 where not known, and a gap where no frame counts. page_size: as in read()."""
    gaps = []
    fault = _fault(head)
    own = int.from_bytes(head[8:12], "big")
    if fault:
        gaps.append(Gap(name, 0, min(HEADER, len(head)), f"{name}: {fault}: none of its frames counts"))
    size = own if not fault or (not page_size and file_format.page_size_fits(own)) else page_size
    if len(head) == HEADER and page_size and size and size != page_size:
        reason = f"{name}: pages of {size} bytes, those of the database are of {page_size}: none of its frames counts"
        gaps.append(Gap(name, 8, 4, reason))
    return size, gaps


def nothing(gaps: Sequence[Gap] = ()) -> WalFrames:
    """No frames."""
    none = np.zeros(0, np.int64)
    return WalFrames(
        page_size=0,
        number=none,
        at=none,
        current=none > 0,
        state=none.astype(np.uint8),
        generation=none,
        until=none,
        pages=0,
        tail=0,
        gaps=tuple(gaps),
        notes=(),
        sound=none > 0,
    )


def _fault(head: bytes) -> str:
    """The fault of a WAL's header; empty for a sound one."""
    if len(head) < HEADER or not file_format.is_wal(head):
        return "no header of a SQLite WAL at offset 0"
    if (version := int.from_bytes(head[4:8], "big")) != VERSION:
        return f"WAL version {version} at offset 4, expected {VERSION}"
    if not file_format.page_size_fits(size := int.from_bytes(head[8:12], "big")):
        return f"the page size {size} at offset 8 is none"
    words = np.frombuffer(head[:FRAME], _order(head)).astype(np.uint32)
    if _sum(words[None, :], np.zeros((1, 2), np.uint32))[0].tolist() != list(_stored(head[24:32])):
        return "the header's checksum at offset 24 does not hold"
    return ""


def _order(head: bytes) -> str:
    return ">u4" if head[3] & 1 else "<u4"


def _stored(raw: bytes) -> tuple[int, int]:
    return int.from_bytes(raw[:4], "big"), int.from_bytes(raw[4:], "big")


def _weights(pairs: int) -> NDArray[np.uint32]:
    """Powers 0..pairs of the matrix ((1, 1), (1, 2)) modulo 2^32: entries 00, 01, 11; shape (pairs + 1, 3)."""
    powers = np.zeros((pairs + 1, 3), np.uint32)
    a, b, c = 1, 0, 1
    for power in range(pairs + 1):
        powers[power] = a, b, c
        a, b, c = (a + b) & 0xFFFFFFFF, (b + c) & 0xFFFFFFFF, (b + 2 * c) & 0xFFFFFFFF
    return powers


def _sum(words: NDArray[np.uint32], seeds: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The checksum of each row of words after the checksum in `seeds`; shape (n, 2)."""
    pairs = words.shape[1] // 2
    powers = _weights(pairs)
    last = powers[:pairs][::-1]
    # each pair (a, b) adds (a, a + b), and every pair after it multiplies by the matrix
    weights = np.empty((2 * pairs, 2), np.uint32)
    weights[0::2, 0], weights[1::2, 0] = last[:, 0] + last[:, 1], last[:, 1]
    weights[0::2, 1], weights[1::2, 1] = last[:, 1] + last[:, 2], last[:, 2]
    a, b, c = powers[pairs]
    first = np.stack((seeds[:, 0] * a + seeds[:, 1] * b, seeds[:, 0] * b + seeds[:, 1] * c), axis=1)
    summed: NDArray[np.uint32] = first + words @ weights
    return summed


def _checksums(buffer: Buffer, head: bytes, size: int, count: int) -> Bools:
    """Which frames' checksums continue the one in the frame before them."""
    step = FRAME + size
    good = np.zeros(count, np.bool_)
    if not count:
        return good
    order = _order(head)
    heads = np.ndarray((count, 6), ">u4", buffer=buffer.data.data, offset=HEADER, strides=(step, 4))
    stored = heads[:, 4:6].astype(np.uint32)
    first = np.array([_stored(head[24:32])], np.uint32)
    seeds = np.concatenate((first, stored[:-1]))
    named = np.ndarray((count, 2), order, buffer=buffer.data.data, offset=HEADER, strides=(step, 4))
    pages = np.ndarray((count, size // 4), order, buffer=buffer.data.data, offset=HEADER + FRAME, strides=(step, 4))
    for part in chunks(count, AT_ONCE):
        words = np.concatenate((named[part], pages[part]), axis=1).astype(np.uint32)
        good[part] = (_sum(words, seeds[part]) == stored[part]).all(axis=1)
    return good


def _newest(number: Ints, committed: int) -> Bools:
    """A mask of the last committed frame of each page."""
    current = np.zeros(number.size, np.bool_)
    _, back = np.unique(number[:committed][::-1], return_index=True)
    current[committed - 1 - back] = True
    return current


def _notes(name: str, count: int, committed: int, valid: int, current: Bools) -> list[str]:
    notes = [
        f"{name}: {count:,} frames: {int(current.sum()):,} are the current image of their page, "
        f"{committed - int(current.sum()):,} superseded, {count - valid:,} left from earlier rounds"
    ]
    if valid > committed:
        notes.append(f"{name}: {valid - committed:,} frames after the last commit: not part of the database")
    return notes
