"""What pages of kine's belong to: a database at an offset, a run of frames of one log, or nothing that says so.

Only from these follows the number of a page, and so where the pages lie on which a value goes on: in a file by its
place behind the first page, in a log by the head of its frame. A database is taken for one where its own schema leads
to pages of a table; without its first page, where an inner page names pages that end with the rows it says.
Format: sqlite.org fileformat2.html, sections 1.3 (The Database Header), 1.6 (B-tree Pages), 4.1 (WAL File Format).
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Ints, Words
from auditor.arrays.parallel import ranges
from auditor.errors import UnreadableEvidence
from auditor.evidence.images.kine_leaves import Leaves
from auditor.evidence.kine import file_format, schema
from auditor.evidence.kine.file_format import TABLE_INTERIOR, TABLE_LEAF
from auditor.evidence.kine.pages import Pages, parse
from auditor.evidence.kine.wal import FRAME, HEADER

AT_ONCE = 1 << 10
"""Frames that are looked at in one step."""
NEAR = 1 << 16
"""Pages before and behind the leaves among which their inner pages are looked for."""
MOST = 1 << 10
"""Databases, and runs of frames, at most."""
AGREEING = 2
"""Pages that must end with the rows that an inner page says, at least."""


@dataclass(frozen=True, slots=True)
class DatabaseFile:
    """A database in the image, as far as its own pages say."""

    at: int
    """Where its first page begins, or would."""
    size: int
    """Bytes of a page."""
    pages: int

    def numbers(self, at: Ints) -> Ints:
        """Numbers of the pages that begin at these offsets; 0 where none of its does."""
        number = (at - self.at) // self.size + 1
        return np.where(((at - self.at) % self.size == 0) & (number > 0) & (number <= self.pages), number, 0)

    def find(self, numbers: Ints) -> Ints:
        """Where pages begin; -1 of those that it does not have."""
        begin = self.at + (numbers - 1) * self.size
        return np.where((numbers > 0) & (numbers <= self.pages) & (begin >= 0), begin, -1)


@dataclass(frozen=True, slots=True)
class Log:
    """Frames of one generation of a log that follow each other."""

    at: int
    """Where the first frame begins."""
    size: int
    """Bytes of a page."""
    number: Ints
    """The page of each frame."""
    until: Ints
    """The last frame of the transaction of each."""

    @property
    def end(self) -> int:
        return self.at + self.number.size * (self.size + FRAME)

    def find(self, numbers: Ints, leaf_at: Ints) -> Ints:
        """The newest image of each page up to the end of a leaf's transaction; -1 where the frames have none."""
        step, count = self.size + FRAME, self.number.size
        order = np.lexsort((np.arange(count), self.number))
        keys = self.number[order] * count + order
        until = self.until[(leaf_at - FRAME - self.at) // step]
        slot = np.searchsorted(keys, numbers * count + until, "right") - 1
        frame = order[np.maximum(slot, 0)]
        present = (slot >= 0) & (self.number[frame] == numbers)
        return np.where(present, self.at + frame * step + FRAME, -1)


@dataclass
class Parts:
    """What the leaves of one size belong to."""

    files: list[DatabaseFile] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    file_of: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Of each leaf the index of its database, -1 for none."""
    log_of: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Of each leaf the index of its log, -1 for none."""


def read(buffer: Buffer, leaves: Leaves, heads: Ints) -> Parts:
    """What each leaf belongs to. heads: where the name of SQLite's format stands, ascending."""
    parts = Parts(file_of=np.full(leaves.at.size, -1, np.int64), log_of=np.full(leaves.at.size, -1, np.int64))
    _logs(buffer, leaves, parts)
    for head in heads.tolist()[:MOST]:
        file = _file(buffer, head, leaves)
        if file is not None:
            _take(parts, file, leaves)
    while len(parts.files) < MOST and (inferred := _inferred(buffer, leaves, parts)) is not None:
        parts.file_of[inferred[1]] = len(parts.files)
        parts.files.append(inferred[0])
    return parts


def _take(parts: Parts, file: DatabaseFile, leaves: Leaves) -> None:
    """Add a database, and the leaves that are its: of several that may be, the one that begins last."""
    own = (file.numbers(leaves.at) > 0) & (parts.log_of < 0)
    own &= (parts.file_of < 0) | (np.array([each.at for each in parts.files] or [0])[parts.file_of] < file.at)
    parts.file_of[own] = len(parts.files)
    parts.files.append(file)


def _logs(buffer: Buffer, leaves: Leaves, parts: Parts) -> None:
    """Find the frames around leaves, and those that follow and precede them with the same salts."""
    step = leaves.size + FRAME
    for row, at in enumerate(leaves.at.tolist()):
        begin = at - FRAME
        known = next((n for n, log in enumerate(parts.logs) if log.at <= begin < log.end), None)
        if known is not None:
            parts.log_of[row] = known if (begin - parts.logs[known].at) % step == 0 else -1
            continue
        if begin < 0 or len(parts.logs) >= MOST or not (salts := int(buffer.words(np.array([begin + 8]))[0])):
            continue
        before, behind = (_run(buffer, begin, way * step, salts) for way in (-1, 1))
        first = begin - before * step
        head = buffer.slice(max(first - HEADER, 0), HEADER)
        whole = file_format.is_wal(head) and int.from_bytes(head[16:24], "little") == salts
        if before + behind or whole:
            parts.log_of[row] = len(parts.logs)
            parts.logs.append(_log(buffer, first, before + behind + 1, leaves.size))


def _run(buffer: Buffer, at: int, step: int, salts: int) -> int:
    """How many frames from the next one on have these salts and a page. step: negative for those before."""
    count = 0
    while True:
        begin = at + step * np.arange(count + 1, count + 1 + AT_ONCE, dtype=np.int64)
        begin = begin[(begin >= 0) & (begin + abs(step) <= buffer.size)]
        good = (buffer.words(begin + 8) == np.uint64(salts)) & (file_format.be32(buffer.words(begin)) > 0)
        run = int(np.argmin(np.append(good, np.False_)))
        count += run
        if run < AT_ONCE:
            return count


def _log(buffer: Buffer, at: int, count: int, size: int) -> Log:
    words: Words = buffer.words(at + (size + FRAME) * np.arange(count, dtype=np.int64))
    stops = np.append(np.flatnonzero(file_format.be32(words, 4) > 0), count - 1)
    until = stops[np.searchsorted(stops[:-1], np.arange(count))]
    return Log(at, size, file_format.be32(words), until)


def _file(buffer: Buffer, at: int, leaves: Leaves) -> DatabaseFile | None:
    """The database whose first page begins here: one whose table of kine's has its root where the schema says."""
    try:
        head = file_format.header(buffer.slice(at, file_format.HEADER), "")
    except UnreadableEvidence:
        return None
    if head.page_size != leaves.size or head.usable != leaves.size or not head.pages:
        return None
    if at + leaves.size > buffer.size:
        return None
    top = parse(buffer, Pages(np.ones(1, np.int64), np.array([at])), leaves.size, leaves.size)
    file = DatabaseFile(at, leaves.size, head.pages)
    tables = schema.tables(buffer, top.cells.take(top.cells.next == 0))
    root = next((table.root for table in tables if table.kind == "table" and table.name == "kine"), 0)
    return file if _leads(buffer, file, root) else None


def _leads(buffer: Buffer, file: DatabaseFile, root: int) -> bool:
    """Whether a page is a leaf of a table, or leads to pages of a table, half of those it names at least."""
    (at,) = file.find(np.array([root])).tolist()
    if at < 0 or at + file.size > buffer.size:
        return False
    kind = buffer.slice(at, 1)[0]
    if kind == TABLE_LEAF:
        return True
    _, children, _ = _inner(buffer, np.array([at]), file.size)
    below = file.find(children)
    below = below[(below >= 0) & (below < buffer.size)]
    good = np.isin(buffer.data[below], (TABLE_INTERIOR, TABLE_LEAF))
    return kind == TABLE_INTERIOR and 0 < children.size <= 2 * int(good.sum())


def _inner(buffer: Buffer, at: Ints, size: int) -> tuple[Ints, Ints, Ints]:
    """Row of its page, child and key of each cell of inner pages of tables."""
    words = buffer.words(at)
    count = file_format.be16(words, 3)
    good = (words & np.uint64(0xFF)).astype(np.int64) == TABLE_INTERIOR
    count = np.where(good & (12 + 2 * count <= size), count, 0)
    owner = np.repeat(np.arange(at.size), count)
    cell = file_format.be16(buffer.words(ranges(at + 12, count, 2)))
    fits = cell + 8 <= size
    owner, place = owner[fits], (at[owner] + cell)[fits]
    key, width = file_format.varints(buffer.words(place + 4))
    return owner, file_format.be32(buffer.words(place)), np.where(width > 0, key, -1)


def _inferred(buffer: Buffer, leaves: Leaves, parts: Parts) -> tuple[DatabaseFile, Ints] | None:
    """A database without its first page, and its leaves: where several end with the rows that inner pages say."""
    lone = np.flatnonzero((parts.file_of < 0) & (parts.log_of < 0))
    last = np.zeros(leaves.at.size, np.int64)
    np.maximum.at(last, leaves.cells.page, leaves.cells.rowid)
    size = leaves.size
    for origin in np.unique(leaves.at[lone] % size).tolist() if lone.size >= AGREEING else ():
        own = lone[leaves.at[lone] % size == origin]
        begin = max(int(leaves.at[own[0]]) - NEAR * size, origin)
        end = min(int(leaves.at[own[-1]]) + NEAR * size, buffer.size - size)
        at = np.arange(begin, end + 1, size, dtype=np.int64)
        at = at[buffer.data[at] == TABLE_INTERIOR]
        owner, child, key = _inner(buffer, at, size)
        order = np.argsort(last[own], kind="stable")
        leaf = own[order[np.minimum(np.searchsorted(last[own][order], key), own.size - 1)]]
        match = last[leaf] == key
        base = leaves.at[leaf] - (child - 1) * size
        (best, votes), *_ = Counter(base[match].tolist()).most_common(1) or [(0, 0)]
        if votes >= AGREEING:
            file = DatabaseFile(best, size, (buffer.size - best) // size)
            inner = np.isin(owner, owner[match & (base == best)])
            named = own[np.isin(file.numbers(leaves.at[own]), child[inner])]
            # what lies between two of its pages where its numbers lead is its own, or was
            between = (leaves.at[own] >= leaves.at[named[0]]) & (leaves.at[own] <= leaves.at[named[-1]])
            return file, own[between]
    return None
