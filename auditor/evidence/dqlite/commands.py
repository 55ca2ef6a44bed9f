"""Entries of the log: what they change. Commands of dqlite's, barriers, and changes of the cluster's members.

canonical/dqlite src/command.c and src/command.h (header, then fields as src/lib/serialize.h writes them: little-endian,
texts padded with zeros to eight bytes); canonical/raft src/configuration.c.
"""

import re
from typing import NamedTuple

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints
from auditor.evidence.kine import file_format
from auditor.evidence.ledger import Account, Ledger

HEADER = bytes((1,))
"""The format of a command; its kind follows, and six bytes without a meaning."""
OPEN, FRAMES, UNDO, CHECKPOINT = 1, 2, 3, 4
WORD = 8
LONGEST_NAME = 512
MOST_SERVERS = 1000
VOTER = 1
_ROLES = 3
_ADDRESS = re.compile(rb"[A-Za-z0-9@._:%\[\]-]{1,255}")
_NAME = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9 ._-]{0,254}")
_LARGEST = 65536


class Frames(NamedTuple):
    """The pages of one transaction."""

    database: str
    number: Ints
    at: Ints
    """Offset of each page."""
    page_size: int
    commits: bool
    """Whether the transaction ends with it; versions before 1.0 wrote it in several commands."""


def frames(buffer: Buffer, at: int, size: int, ledger: Ledger) -> Frames | bool:
    """The pages of the command of an entry; whether it is a command without pages, where it has none.

    Args:
        buffer: The segment.
        at: Where the entry's data begins.
        size: Its bytes.
        ledger: Where what is structure is added.
    """
    head = buffer.slice(at, WORD)
    if len(head) < WORD or not head.startswith(HEADER):
        return False
    kind = head[1]
    if kind == UNDO and size == 2 * WORD:
        ledger.one(Account.STRUCTURE, at, at + size)
        return True
    if kind not in {OPEN, FRAMES, CHECKPOINT}:
        return False
    name, after = text(buffer, at + WORD, at + size)
    if name is None:
        return False
    if kind != FRAMES:
        if after == at + size:
            ledger.one(Account.STRUCTURE, at, after)
        return after == at + size
    fields = buffer.slice(after, 3 * WORD)
    # the bytes that the format leaves unused are written as they lay in memory: three behind `commits`, two at the end
    if after + 3 * WORD > at + size or fields[12] > 1:
        return False
    count, page_size = int.from_bytes(fields[16:20], "little"), int.from_bytes(fields[20:22], "little") or _LARGEST
    first = after + 3 * WORD
    pages = first + WORD * count
    if not file_format.page_size_fits(page_size) or pages + page_size * count != at + size:
        return False
    number = np.frombuffer(buffer.slice(first, WORD * count), "<u8")
    if (number == 0).any() or (number >= 1 << 32).any():
        return False
    ledger.one(Account.STRUCTURE, at, pages)
    offset = pages + page_size * np.arange(count, dtype=np.int64)
    return Frames(name, number.astype(np.int64), offset, page_size, fields[12] == 1)


def text(buffer: Buffer, at: int, end: int) -> tuple[str | None, int]:
    """The name of a database, and the position behind its padding; None for none."""
    raw, _, _ = buffer.slice(at, min(LONGEST_NAME, max(end - at, 0))).partition(b"\0")
    size = (len(raw) + WORD) // WORD * WORD
    if not _NAME.fullmatch(raw) or at + size > end or any(buffer.slice(at + len(raw), size - len(raw))):
        return None, at
    return raw.decode("ascii"), at + size


def voters(buffer: Buffer, at: int, size: int) -> int | None:
    """The voters of a cluster by its encoded members; None where it is no such list, or holds anything else."""
    raw = buffer.slice(at, size)
    count = int.from_bytes(raw[1:9], "little")
    if not raw.startswith(HEADER) or not 0 < count <= MOST_SERVERS:
        return None
    place, sum_ = 9, 0
    for _ in range(count):
        address, _, rest = raw[place + WORD :].partition(b"\0")
        if not _ADDRESS.fullmatch(address) or not rest or rest[0] >= _ROLES:
            return None
        sum_ += rest[0] == VOTER
        place += WORD + len(address) + 2
    return None if len(raw) - place >= WORD else sum_  # padding is written as it lay in memory
