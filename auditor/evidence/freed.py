"""Pages that no root reaches: compaction and rewrites free them, and bbolt does not wipe them.

A freed page is read as the leaf that it was, as far as its bytes still are its own: of the pages behind it that its
`overflow` claims, some may have been reused since (bbolt internal/freelist, tx.go). What no leaf accounts for is
searched for the signatures of stored values.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from auditor.batch import UNKNOWN, Batch
from auditor.columns import Bools, Buffer, Ints, expand
from auditor.evidence import mvcc
from auditor.evidence.meta import HEADER
from auditor.evidence.tree import (
    BRANCH,
    ELEMENT,
    FREED,
    FREELIST,
    IS_BUCKET,
    LARGEST_KEY,
    LEAF,
    META,
    Leaves,
    Walker,
    overlapping,
)
from auditor.model import Place, State, Unexamined

SIGNATURES = (b"k8s\0\n", b"k8s:enc:")
"""How stored values begin that can be told from other bytes: an envelope's type, or an encrypting prefix."""
MOST_HITS = 1_000_000


class Freed(NamedTuple):
    """Stored values found in freed pages. headless: pages that begin with no header of their own and hold something;
    damaged: runs of pages whose header or elements do not hold. Both were searched for whole values only.
    """

    batches: tuple[Batch, ...]
    headless: int
    damaged: int

    def unexamined(self) -> tuple[Unexamined, ...]:
        parts = (
            (self.headless, "freed pages without a header", "parts of values whose start was overwritten"),
            (self.damaged, "damaged freed pages", "their elements do not hold"),
        )
        return tuple(
            Unexamined(f"{count:,} {what}", f"{why}: searched for whole values only", decisive=True)
            for count, what, why in parts
            if count
        )


def read(walker: Walker) -> Freed:
    """Every value in the freed pages under the walker's map, parsed where a leaf still stands, else searched for."""
    freed = np.flatnonzero(walker.kinds == FREED)
    if not freed.size:
        return Freed((), 0, 0)
    kinds, counts, runs = _headers(walker, freed)
    ends = _ends(walker, freed, kinds, runs)
    leaf = kinds == LEAF
    leaves, cut, good = _elements(walker, freed[leaf], counts[leaf], ends[leaf])
    records, kept = mvcc.freed(walker.buffer, walker.source, leaves)
    records.state[:] |= np.where(cut[kept] & (records.value_len > 0), np.uint8(State.TAIL_LOST), np.uint8(0))
    records.place[:] = Place.FREED
    suspect = np.zeros(walker.pages, np.bool_)
    suspect[freed[leaf][~good | (freed[leaf] + runs[leaf] > walker.pages)]] = True
    lost = np.ones(leaves.page.size, np.bool_)
    lost[kept] = False
    suspect[leaves.page[lost]] = True
    covered = np.zeros(walker.pages, np.bool_)
    sound = (kinds != 0) & ~suspect[freed]
    covered[expand(freed[sound], (ends - freed)[sound])] = True
    rest = freed[~covered[freed]]
    records = records.take((records.key_len > 0) | (records.value_len > 0))
    searched = _searched(walker, rest, records)
    headless = sum(_filled(walker, page) for page in freed[(kinds == 0) & ~_within(freed, kinds, ends)].tolist())
    found = tuple(batch for batch in (records, searched) if len(batch))
    return Freed(found, headless, int(suspect.sum()))


def _within(freed: Ints, kinds: Ints, ends: Ints) -> Bools:
    """Which freed pages belong to the run of one before them."""
    reach = np.maximum.accumulate(np.where(kinds != 0, ends, 0))
    within: Bools = reach > freed
    return within


def _filled(walker: Walker, page: int) -> bool:
    start = page * walker.page_size
    return bool(walker.buffer.data[start : start + walker.page_size].any())


def _headers(walker: Walker, pages: Ints) -> tuple[Ints, Ints, Ints]:
    """Kind (0 where the page does not begin with a header of its own), element count and pages of the run."""
    header = walker.cells[pages * (walker.page_size // ELEMENT)]
    own = header.view(walker.meta.order + "u8")[:, 0].astype(np.int64)
    halves = header.view(walker.meta.order + "u2").astype(np.int64)
    kinds, counts = halves[:, 4], halves[:, 5]
    runs = header[:, 3].astype(np.int64) + 1
    good = (own == pages) & np.isin(kinds, (BRANCH, LEAF, META, FREELIST))
    return np.where(good, kinds, 0), counts, runs


def _ends(walker: Walker, pages: Ints, kinds: Ints, runs: Ints) -> Ints:
    """The page behind the last one that still belongs to each run."""
    boundary = walker.kinds != FREED
    boundary[pages[kinds != 0]] = True
    index = np.where(boundary, np.arange(walker.pages), walker.pages)
    following = np.append(np.minimum.accumulate(index[::-1])[::-1], walker.pages)
    ends: Ints = np.minimum(pages + runs, following[pages + 1])
    return ends


def _elements(walker: Walker, pages: Ints, counts: Ints, ends: Ints) -> tuple[Leaves, Bools, Bools]:
    """Elements that may be records, which of them lost the end of their value, and which pages hold together."""
    size = walker.page_size
    fits = HEADER + ELEMENT * counts <= (ends - pages) * size
    holds = fits.copy()
    number = np.flatnonzero(fits)
    starts, counts, ends = pages[fits], counts[fits], ends[fits]
    cells = expand(starts * (size // ELEMENT) + 1, counts)
    owner, page = np.repeat(number, counts), np.repeat(starts, counts)
    end = np.repeat(ends * size, counts)
    flags, pos, key_len, value_len = walker.cells[cells].astype(np.int64).T
    key_at = cells * ELEMENT + pos
    value_at = key_at + key_len
    table = np.repeat(starts * size + HEADER + ELEMENT * counts, counts)
    good = (flags <= IS_BUCKET) & (key_len >= 1) & (key_len <= LARGEST_KEY) & (key_at >= table) & (value_at <= end)
    good[good] = ~overlapping(owner[good], (key_at - table)[good], (value_at + value_len - table)[good])
    holds[owner[~good]] = False
    cut = value_at + value_len > end
    leaves = Leaves(flags, key_at, key_len, value_at, np.where(cut, end - value_at, value_len), page)
    # leaves of other buckets, and of the root, have other keys than revisions: they hold no Kubernetes object
    records = good & (flags == 0) & np.isin(key_len, (mvcc.REVISION, mvcc.TOMBSTONE))
    return Leaves(*(column[records] for column in leaves)), cut[records], holds


def _searched(walker: Walker, pages: Ints, known: Batch) -> Batch:
    """Values found by their signature in these pages, but for those that are known already."""
    size = walker.page_size
    starts = np.flatnonzero(np.diff(pages, prepend=-2) != 1)
    lasts = np.append(pages[starts[1:] - 1], pages[-1:])
    hits = [
        (at, (last + 1) * size)
        for first, last in zip(pages[starts].tolist(), lasts.tolist(), strict=True)
        for at in _occurrences(walker.buffer, first * size, (last + 1) * size)
    ]
    at = np.array([hit for hit, _ in hits], np.int64)
    end = np.array([stop for _, stop in hits], np.int64)
    length = np.minimum(end, np.append(at[1:], np.iinfo(np.int64).max)) - at
    order = np.argsort(known.value_at)
    before = np.searchsorted(known.value_at[order], at, "right") - 1
    ends = np.append(known.value_at[order] + known.value_len[order], 0)
    fresh = ends[before] <= at
    at, length = at[fresh], length[fresh]
    state = np.full(at.size, State.HEAD_LOST, np.uint8)
    for row, (start, room) in enumerate(zip(at.tolist(), length.tolist(), strict=True)):
        told = envelope_length(walker.buffer.slice(start, min(room, 64)))
        if told and told <= room:
            length[row] = told
        else:
            state[row] |= np.uint8(State.TAIL_LOST)
    nothing = np.zeros(at.size, np.int64)
    unknown = np.full(at.size, UNKNOWN, np.int64)
    return Batch(
        source=walker.source,
        data=walker.buffer,
        mapped=True,
        key_at=nothing,
        key_len=nothing.astype(np.uint32),
        value_at=at,
        value_len=length.astype(np.uint32),
        main=unknown,
        sub=unknown,
        create=unknown,
        version=unknown,
        order=unknown,
        page=at // size,
        place=np.full(at.size, Place.FREED, np.uint8),
        state=state,
        extents={},
    )


def _occurrences(buffer: Buffer, start: int, end: int) -> Iterator[int]:
    found = sorted(at for signature in SIGNATURES for at in buffer.occurrences(signature, start, end))
    yield from found[:MOST_HITS]


def envelope_length(head: bytes) -> int:
    """Length of a `k8s\\0` value from its first bytes: magic, type, raw object, two empty strings; 0 if not told."""
    if not head.startswith(b"k8s\0\n"):
        return 0
    type_len, at = _varint(head, 5)
    at += type_len
    if type_len <= 0 or at >= len(head) or head[at] != 0x12:
        return 0
    raw_len, after = _varint(head, at + 1)
    return after + raw_len + 4 if raw_len > 0 else 0


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 35, 7):
        if at >= len(data):
            return -1, at
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    return -1, at
