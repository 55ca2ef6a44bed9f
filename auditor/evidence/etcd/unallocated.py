"""Unallocated bytes: freed pages, which bbolt does not wipe, and slack, which it leaves zero.

A freed page is read as the leaf that it was, as far as its bytes are still its own: some of the overflow pages that
its header claims may have been reused since (bbolt internal/freelist, tx.go). Other bytes are carved (carve.py).
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

    Args:
        walker: The walker of the current root.
        place: The place of values in pages that no root reaches; UNPLACED where there is no root.
        previous: The walker of the older root, whose pages the map has as PREVIOUS_ROOT.
    """
    slack = Place.SLACK if place is Place.FREED else place
    end = walker.total * walker.page_size
    batches = [
        *_read_pages(walker, np.flatnonzero(walker.kinds == PageKind.FREED), place, slack),
        *_read_pages(walker, np.flatnonzero(walker.kinds == PageKind.PAST_HIGH_WATER), slack, slack),
        _carve(walker, np.array([end]), np.array([walker.size]), place),
        _carve_gaps(walker, page_runs.live_runs(walker), walker.spans, slack),
    ]
    if previous is not None:
        runs, is_previous = page_runs.live_runs(previous), walker.kinds == PageKind.PREVIOUS_ROOT
        spans = [Spans(*(column[is_previous[each.page]] for column in each)) for each in previous.spans]
        batches.append(_carve_gaps(walker, runs.take(is_previous[runs.pages]), spans, slack))
    return tuple(part for batch in batches if len(batch) for part in batch.split())


def _read_pages(walker: Walker, pages: Ints, place: Place, slack: Place) -> Iterator[RecordBatch]:
    """The values in these pages: leaves are parsed, all other bytes are carved.

    Args:
        walker: The walker of the current root.
        pages: Page ids, ascending.
        place: The place of values in these pages.
        slack: The place of values behind the elements of an intact leaf.
    """
    if not pages.size:
        return
    size = walker.page_size
    runs = page_runs.stale_runs(walker, pages)
    elements = page_runs.elements(walker, runs)
    leaves = elements.leaves
    # records: the elements whose keys are revisions; leaves of other buckets, and of the root, have other keys
    is_record = (leaves.flags == 0) & np.isin(leaves.key_len, (mvcc.REVISION, mvcc.TOMBSTONE))
    records, rows = mvcc.read_freed(walker.buffer, walker.source, leaves.take(is_record))
    decoded = np.flatnonzero(is_record)[rows]
    records.state[:] |= np.where(elements.cut[decoded], np.uint8(State.TAIL_LOST), np.uint8(0))
    records.place[:] = place
    yield records.take(((records.key_len > 0) & ~records.has(State.TAIL_LOST)) | (records.value_len > 0))
    # records that do not decode: a snapshot under load may copy the first pages of one run and the last of another
    undecoded = is_record.copy()
    undecoded[decoded] = False
    ends = leaves.value_at + leaves.value_len
    yield _carve(walker, *_merge_adjacent(leaves.key_at[undecoded], ends[undecoded]), place)
    # inline buckets of a freed root, and the runs of branches and freelists
    yield _carve(walker, leaves.key_at[~is_record], ends[~is_record], place, fragments=False)
    others = runs.take(runs.kinds != PageKind.LEAF)
    yield _carve(walker, others.pages * size, others.ends * size, place, fragments=False)
    # the count of a run with an invalid element may be too large, and its table would hide the bytes behind it
    runs = replace(runs, counts=np.where(elements.sound, runs.counts, 0))
    first, last = _headless(walker, pages, runs)
    yield _carve(walker, first * size, last * size, place)
    for sound, place_or_slack in ((False, place), (True, slack)):
        leaf_runs = (runs.kinds == PageKind.LEAF) & (elements.sound == sound)
        selection = leaf_runs[elements.owner]
        yield _carve_gaps(
            walker,
            runs.take(leaf_runs),
            [Spans(leaves.key_at[selection], ends[selection], leaves.page[selection])],
            place_or_slack,
        )


def _merge_adjacent(start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Ranges in ascending order, adjacent ones as one."""
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    first = np.ones(start.size, np.bool_)
    first[1:] = start[1:] != end[:-1]
    return start[first], end[np.append(first[1:], True)[: end.size]]


def _carve_gaps(walker: Walker, runs: Runs, elements: Sequence[Spans], place: Place) -> RecordBatch:
    """Values outside the elements of these runs."""
    start, end = page_runs.gaps_between(walker, runs, elements)
    nonzero = walker.buffer.nonzero(start, end)
    return _carve(walker, start[nonzero], end[nonzero], place)


def _headless(walker: Walker, pages: Ints, runs: Runs) -> tuple[Ints, Ints]:
    """Ranges of `pages` that belong to no run: the first page of each, and the one behind its last."""
    # nesting: 1 where a run begins, -1 where it ends, so that its sum is 1 inside a run
    nesting = np.zeros(walker.total + 1, np.int8)
    nesting[runs.pages] += 1
    nesting[runs.ends] -= 1  # runs are disjoint: no two of them end, or begin, at one page
    headless = np.zeros(walker.total + 1, np.bool_)
    headless[pages] = True
    headless &= np.cumsum(nesting, dtype=np.int8) == 0
    edges = np.flatnonzero(np.diff(headless, prepend=False))
    return edges[::2], edges[1::2]


def _carve(walker: Walker, start: Ints, end: Ints, place: Place, *, fragments: bool = True) -> RecordBatch:
    """Values carved from ranges of bytes."""
    parts = [
        carve.batch(walker.buffer, walker.source, rows, place, walker.page_size)
        for rows in carve.portions(walker.buffer, start.tolist(), end.tolist(), fragments=fragments)
    ]
    if not parts:
        return carve.batch(walker.buffer, walker.source, [], place, walker.page_size)
    joined = RecordBatch.concatenate(parts)
    return joined.take(np.argsort(joined.value_at, kind="stable")) if len(parts) > 1 else joined
