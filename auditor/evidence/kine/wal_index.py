"""The index of SQLite's WAL, a -shm file: numbers alone, each in its range, in a ledger.

Format: sqlite.org walformat.html, section 2 (The WAL-Index File). A block but the first holds 4,096 page numbers and
8,192 slots of a hash table; in the first the header and what is known of checkpoints stand where the first 34 numbers
would. Numbers are in the byte order of the machine. What it counts beyond the last frame is left of earlier rounds.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.file import EvidenceFile
from auditor.evidence.kine.wal import INDEX, VERSION
from auditor.evidence.ledger import Account, Ledger
from auditor.evidence.unaccounted import unaccounted_gaps
from auditor.model.evidence import Balance, Gap

BLOCK, HALF = 1 << 15, 1 << 14
CHECKED = 40
"""Bytes of a header that its checksum is of."""
CHECKPOINT, LOCKS, FRAMES_AT = 2 * INDEX, 120, 136
"""Where what is known of checkpoints begins, the bytes that are locked, and the page numbers."""
UNUSED = 0xFFFFFFFF
"""A read mark that nobody uses."""
MOST = 1 << 24
"""Pages or frames: of numbers below it one byte is zero, so that no text is taken for them."""
SLOTS = 4096
"""Frames that a block counts, the largest number in a slot."""


def accounts(files: Sequence[EvidenceFile]) -> tuple[list[Balance], list[Gap]]:
    """The ledgers of these files, and gaps for what is no index in them."""
    balances, gaps = [], []
    for file in files:
        buffer = Buffer(file.map)
        own = Ledger(file.name, buffer.size)
        _add(own, buffer)
        gaps += unaccounted_gaps(own, buffer, ())
        balances.append(own.balance())
    return balances, gaps


def _add(own: Ledger, buffer: Buffer) -> None:
    order: Literal["<", ">"] = "<" if buffer.slice(0, 4) == VERSION.to_bytes(4, "little") else ">"
    for at in (0, INDEX):
        if _is_header(buffer.slice(at, INDEX), order):
            own.one(Account.STRUCTURE, at, at + CHECKED)
            own.one(Account.CHECKSUM, at + CHECKED, at + INDEX)
    for at in range(0, buffer.size - BLOCK + 1, BLOCK):
        first = FRAMES_AT if not at else 0
        _numbers(own, buffer, at + first, at + HALF, order + "u4", MOST)
        _numbers(own, buffer, at + HALF, at + BLOCK, order + "u2", SLOTS)
    # frames that were copied, read marks; locks are never written to; frames of a checkpoint that was begun
    _numbers(own, buffer, CHECKPOINT, LOCKS, order + "u4", MOST)
    _numbers(own, buffer, LOCKS + 8, FRAMES_AT, order + "u4", MOST)


def _numbers(own: Ledger, buffer: Buffer, start: int, end: int, form: str, most: int) -> None:
    """Add the numbers of a part that are not zero and in their range."""
    raw = buffer.slice(start, end - start)
    size = np.dtype(form).itemsize
    values = np.frombuffer(raw[: len(raw) // size * size], form)
    sound = (values > 0) & ((values <= most) | ((values == UNUSED) & (start == CHECKPOINT)))
    at = start + np.flatnonzero(sound).astype(np.int64) * size
    own.add(Account.STRUCTURE, at, at + size)


def _is_header(raw: bytes, order: str) -> bool:
    """Whether a copy of the header has its version, no byte that is not used, and its checksum."""
    if len(raw) < INDEX:
        return False
    words = [int(word) for word in np.frombuffer(raw, order + "u4")]
    one = two = 0
    for first, second in zip(words[: CHECKED // 4 : 2], words[1 : CHECKED // 4 : 2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return words[0] == VERSION and not words[1] and raw[12] <= 1 and raw[13] <= 1 and [one, two] == words[10:12]
