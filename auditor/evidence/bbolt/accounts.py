"""The structure of bbolt's pages in the ledger of their file: headers, element tables, keys of branches, freelists.

What is not of its type and range is not accounted for: the ledger has it as a hole, and it is carved.
Format: bbolt internal/common (page.go, meta.go, inode.go), internal/freelist.
"""

import struct

import numpy as np

from auditor.arrays.dtypes import Bools, Ints
from auditor.arrays.parallel import chunks, ranges
from auditor.evidence.bbolt import meta
from auditor.evidence.bbolt.elements import ELEMENT, overlaps
from auditor.evidence.bbolt.meta import BODY, HEADER
from auditor.evidence.bbolt.page_runs import MANY, PORTION, Runs
from auditor.evidence.bbolt.tree import Walker
from auditor.evidence.ledger import Account
from auditor.model.vocabulary import PageKind

REVISION, TOMBSTONE = 17, 18
"""Bytes of the keys of the `key` bucket, the one whose trees are large."""
SEPARATOR = ord("_")
SHORT = 64
"""Bytes of a key of another bucket in a branch, at most."""
SLOT = 8
"""Bytes of a page id in a freelist."""


def add(walker: Walker, runs: Runs) -> None:
    """Add the structure of runs to the walker's ledger; the elements of leaves are their readers' to add."""
    size, ledger = walker.page_size, walker.ledger
    leaves = runs.take(runs.kinds == PageKind.LEAF)
    begin = leaves.pages * size
    table = HEADER + ELEMENT * leaves.counts.astype(np.int64)
    fits = begin + table <= leaves.ends * size
    ledger.add(Account.STRUCTURE, begin[fits], (begin + table)[fits])
    branches = runs.take(runs.kinds == PageKind.BRANCH)
    for part in chunks(branches.pages.size, PORTION):
        _add_branches(walker, branches.take(part))
    for page, end in _pairs(runs, PageKind.FREELIST):
        _add_freelist(walker, page, end)
    for page, _ in _pairs(runs, PageKind.META):
        _add_meta(walker, page)


def _pairs(runs: Runs, kind: PageKind) -> list[tuple[int, int]]:
    """First page, and the one behind the last, of the runs of a kind."""
    chosen = runs.kinds == kind
    return list(zip(runs.pages[chosen].tolist(), runs.ends[chosen].tolist(), strict=True))


def _add_branches(walker: Walker, runs: Runs) -> None:
    """Headers, element tables and keys of branch runs. A run with an element that is none has its header alone."""
    size, ledger = walker.page_size, walker.ledger
    runs = runs.take(HEADER + ELEMENT * runs.counts.astype(np.int64) <= (runs.ends - runs.pages) * size)
    begin, counts = runs.pages * size, runs.counts.astype(np.int64)
    cells = ranges(begin // ELEMENT + 1, counts)
    pos, key_len = walker.cells[cells][:, :2].astype(np.int64).T
    at = cells * ELEMENT + pos
    end = np.repeat(runs.ends * size, counts)
    table = np.repeat(begin + HEADER + ELEMENT * counts, counts)
    owner = np.repeat(np.arange(counts.size), counts)
    valid = (at >= table) & (at + key_len <= end)
    valid &= np.minimum(walker.ids[cells, 1], np.uint64(1 << 62)).astype(np.int64) < walker.total
    valid[valid] = ~overlaps(owner[valid], (at - table)[valid], (at + key_len - table)[valid])
    valid[valid] = _keys(walker, at[valid], key_len[valid])
    sound = np.ones(counts.size, np.bool_)
    sound[owner[~valid]] = False
    ledger.add(Account.STRUCTURE, begin, begin + HEADER + np.where(sound, ELEMENT * counts, 0))
    ledger.add(Account.STRUCTURE, at[valid], (at + key_len)[valid])


def _keys(walker: Walker, at: Ints, length: Ints) -> Bools:
    """Which keys of branches are revisions, or short texts and lease ids: the keys of all buckets of etcd's."""
    revision = np.isin(length, (REVISION, TOMBSTONE)) & (walker.buffer.words(at + 8) & np.uint64(0xFF) == SEPARATOR)
    sound: Bools = revision | (length == SLOT)
    for row in np.flatnonzero(~sound & (length <= SHORT)).tolist():
        key = walker.buffer.slice(int(at[row]), int(length[row]))
        sound[row] = key.isascii() and key.decode("ascii").isprintable()
    return sound


def _add_freelist(walker: Walker, page: int, end: int) -> None:
    """The header and the ids of a freelist: pages of the file, each once, as far as the run has its pages."""
    start, stop = page * walker.page_size, end * walker.page_size
    cell = start // ELEMENT
    count, first = int(walker.cells[cell].view(walker.meta.order + "u2")[5]), start + HEADER
    if count == MANY and first + SLOT <= stop:
        count, first = int(walker.ids[cell + 1, 0]), first + SLOT
    walker.ledger.one(Account.STRUCTURE, start, first)
    at = np.arange(first, min(first + SLOT * min(count, walker.size), stop - SLOT + 1), SLOT, dtype=np.int64)
    ids = walker.buffer.data[first : first + SLOT * at.size].view(walker.meta.order + "u8")
    sound = (ids >= 2) & (ids < walker.total)
    named = np.zeros(ids.size, np.bool_)
    named[np.unique(ids, return_index=True)[1]] = True
    walker.ledger.add(Account.STRUCTURE, at[sound & named], (at + SLOT)[sound & named])


def _add_meta(walker: Walker, page: int) -> None:
    """A valid meta of page 0 or 1, but for what bbolt leaves zero: its flags, and the sequence of the root."""
    start = page * walker.page_size
    if page > 1 or isinstance(meta.parse(walker.buffer, start, page), str):
        return
    order = walker.meta.order
    number, kind, count, overflow = struct.unpack(order + "QHHI", walker.buffer.slice(start, HEADER))
    if (number, kind, count, overflow) == (page, PageKind.META, 0, 0):
        walker.ledger.one(Account.STRUCTURE, start, start + HEADER)
    start += HEADER
    (flags,) = struct.unpack(order + "I", walker.buffer.slice(start + 12, 4))
    (sequence,) = struct.unpack(order + "Q", walker.buffer.slice(start + 24, 8))
    walker.ledger.one(Account.STRUCTURE, start, start + (16 if not flags else 12))
    walker.ledger.one(Account.STRUCTURE, start + 16, start + (32 if not sequence else 24))
    walker.ledger.one(Account.STRUCTURE, start + 32, start + BODY - 8)
    walker.ledger.one(Account.CHECKSUM, start + BODY - 8, start + BODY)
