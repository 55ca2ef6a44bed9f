"""What no root reaches: freed pages, which bbolt does not wipe, and slack, which it leaves zero.

A freed page is read as the leaf that it was, as far as its bytes still are its own: of the pages behind it that its
`overflow` claims, some may have been reused since (bbolt internal/freelist, tx.go). What no element accounts for is
searched (carve.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from auditor.arrays.dtypes import Ints
from auditor.evidence import carve
from auditor.evidence.batch import RecordBatch
from auditor.evidence.bbolt import page_runs
from auditor.evidence.bbolt.elements import Spans
from auditor.evidence.bbolt.page_runs import Runs
from auditor.evidence.bbolt.tree import Walker
from auditor.evidence.etcd import mvcc
from auditor.model.vocabulary import PageKind, Place, State


def read(walker: Walker, place: Place = Place.FREED, previous: Walker | None = None) -> tuple[RecordBatch, ...]:
    """Every value, and every fragment of one, outside the trees of the walker's map.

    place: of what lies in pages that no root reaches; UNPLACED where no root leads anywhere. previous: the walker of
    the older root, whose pages the map holds as PREVIOUS_ROOT.
    """
    slack = Place.SLACK if place is Place.FREED else place
    end = walker.total * walker.page_size
    found = [
        *_pages(walker, np.flatnonzero(walker.kinds == PageKind.FREED), place, slack),
        *_pages(walker, np.flatnonzero(walker.kinds == PageKind.PAST_HIGH_WATER), slack, slack),
        _carved(walker, np.array([end]), np.array([walker.size]), place),
        _between(walker, page_runs.live_runs(walker), walker.spans, slack),
    ]
    if previous is not None:
        older, only = page_runs.live_runs(previous), walker.kinds == PageKind.PREVIOUS_ROOT
        theirs = [Spans(*(column[only[each.page]] for column in each)) for each in previous.spans]
        found.append(_between(walker, older.take(only[older.pages]), theirs, slack))
    return tuple(batch for batch in found if len(batch))


def _pages(walker: Walker, pages: Ints, place: Place, slack: Place) -> Iterator[RecordBatch]:
    """What lies in these pages: parsed where a leaf still stands, else searched for."""
    if not pages.size:
        return
    size = walker.page_size
    left = page_runs.stale_runs(walker, pages)
    found = page_runs.elements(walker, left)
    leaves = found.leaves
    # leaves of other buckets, and of the root, have other keys than revisions
    revised = (leaves.flags == 0) & np.isin(leaves.key_len, (mvcc.REVISION, mvcc.TOMBSTONE))
    records, kept = mvcc.freed(walker.buffer, walker.source, leaves.take(revised))
    read = np.flatnonzero(revised)[kept]
    records.state[:] |= np.where(found.cut[read], np.uint8(State.TAIL_LOST), np.uint8(0))
    records.place[:] = place
    yield records.take(((records.key_len > 0) & ~records.has(State.TAIL_LOST)) | (records.value_len > 0))
    # records that do not decode: a snapshot under load may copy the first pages of one run and the last of another
    torn = revised.copy()
    torn[read] = False
    ends = leaves.value_at + leaves.value_len
    yield _carved(walker, *_joined(leaves.key_at[torn], ends[torn]), place)
    # inline buckets of a freed root, and what a branch or a freelist claims to hold
    yield _carved(walker, leaves.key_at[~revised], ends[~revised], place, fragments=False)
    odd = left.take(left.kinds != PageKind.LEAF)
    yield _carved(walker, odd.pages * size, odd.ends * size, place, fragments=False)
    # a table with an element that does not hold may be said to be longer than it is, and would hide what lies behind it
    left = replace(left, counts=np.where(found.sound, left.counts, 0))
    first, last = _headless(walker, pages, left)
    yield _carved(walker, first * size, last * size, place)
    for sound, where in ((False, place), (True, slack)):
        wanted = (left.kinds == PageKind.LEAF) & (found.sound == sound)
        mine = wanted[found.owner]
        yield _between(walker, left.take(wanted), [Spans(leaves.key_at[mine], ends[mine], leaves.page[mine])], where)


def _joined(start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Stretches that touch each other as one; they ascend."""
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    first = np.ones(start.size, np.bool_)
    first[1:] = start[1:] != end[:-1]
    return start[first], end[np.append(first[1:], True)[: end.size]]


def _between(walker: Walker, those: Runs, elements: Sequence[Spans], place: Place) -> RecordBatch:
    """What is not zero outside the elements of these runs."""
    start, end = page_runs.gaps_between(walker, those, elements)
    filled = walker.buffer.nonzero(start, end)
    return _carved(walker, start[filled], end[filled], place)


def _headless(walker: Walker, pages: Ints, left: Runs) -> tuple[Ints, Ints]:
    """Stretches of `pages` that belong to no run: the first page of each, and the one behind its last."""
    depth = np.zeros(walker.total + 1, np.int8)
    depth[left.pages] += 1
    depth[left.ends] -= 1  # runs are apart: no two of them end, or begin, at one page
    alone = np.zeros(walker.total + 1, np.bool_)
    alone[pages] = True
    alone &= np.cumsum(depth, dtype=np.int8) == 0
    edges = np.flatnonzero(np.diff(alone, prepend=False))
    return edges[::2], edges[1::2]


def _carved(walker: Walker, start: Ints, end: Ints, place: Place, *, fragments: bool = True) -> RecordBatch:
    rows = carve.search(walker.buffer, start.tolist(), end.tolist(), fragments=fragments)
    return carve.batch(walker.buffer, walker.source, rows, place, walker.page_size)
