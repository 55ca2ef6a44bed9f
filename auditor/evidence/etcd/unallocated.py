"""Unallocated bytes: freed pages, which bbolt does not wipe, and slack, which it leaves zero.

A freed page is read as the leaf that it was, as far as its bytes are still its own: some of the overflow pages that
its header claims may have been reused since (bbolt internal/freelist, tx.go). What the ledger of the file has no
account of then, in whatever page, is carved (carve.py).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from auditor.evidence import carve, ledger
from auditor.evidence.batch import RecordBatch
from auditor.evidence.bbolt import accounts as structure
from auditor.evidence.bbolt import inline, page_runs
from auditor.evidence.bbolt.elements import Leaves
from auditor.evidence.bbolt.page_runs import Runs
from auditor.evidence.bbolt.tree import Walker
from auditor.evidence.etcd import accounts, buckets, mvcc
from auditor.evidence.ledger import Account, Intervals
from auditor.model.vocabulary import PageKind, Place, State

NONE = np.zeros(0, np.int64)


def read(walker: Walker, place: Place = Place.FREED, previous: Walker | None = None) -> tuple[RecordBatch, ...]:
    """Every value, and every fragment of one, outside the trees of the walker's map; closes the walker's ledger.

    Args:
        walker: The walker of the current root.
        place: The place of values in pages that no root reaches; UNPLACED where there is no root.
        previous: The walker of the older root, whose pages the map has as PREVIOUS_ROOT.
    """
    slack = Place.SLACK if place is Place.FREED else place
    live = page_runs.live_runs(walker)
    structure.add(walker, live)
    runs = [live]
    if previous is not None:
        is_previous = walker.kinds == PageKind.PREVIOUS_ROOT
        runs.append(page_runs.live_runs(previous))
        runs[-1] = runs[-1].take(is_previous[runs[-1].pages])
        structure.add(previous, runs[-1])
        walker.ledger.extend(previous.ledger, is_previous, walker.page_size)
    batches, tails = [], []
    for kind, own in ((PageKind.FREED, place), (PageKind.PAST_HIGH_WATER, slack)):
        pages = np.flatnonzero(walker.kinds == kind)
        if pages.size:
            runs.append(page_runs.stale_runs(walker, pages))
            records, behind = _freed(walker, runs[-1], own)
            batches += records
            tails.append(behind)
    if ledger.enabled:
        batches += _carved(walker, runs, tails, place, slack)
    return tuple(part for batch in batches if len(batch) for part in batch.split())


def _freed(walker: Walker, runs: Runs, place: Place) -> tuple[list[RecordBatch], Intervals]:
    """The records in the leaves among stale runs, and the bytes behind the elements of leaves that hold together.

    What holds no values goes to the ledger, as far as it is what etcd and bbolt write.

    Args:
        walker: The walker of the current root.
        runs: The runs.
        place: The place of records in these pages.
    """
    elements = page_runs.elements(walker, runs)
    leaves = elements.leaves
    # records: the elements whose keys are revisions; leaves of other buckets, and of the root, have other keys
    is_record = (leaves.flags == 0) & np.isin(leaves.key_len, (mvcc.REVISION, mvcc.TOMBSTONE))
    # a snapshot under load may copy the first pages of one run and the last of another: not all of them decode
    records, rows = mvcc.read_freed(walker.buffer, walker.source, leaves.take(is_record), walker.ledger)
    decoded = np.flatnonzero(is_record)[rows]
    records.state[:] |= np.where(elements.cut[decoded], np.uint8(State.TAIL_LOST), np.uint8(0))
    inner = list(_add_pairs(walker, leaves.take(~is_record)))
    # the count of a run with an invalid element may be too large, and its table would hide the bytes behind it
    structure.add(walker, runs.take(elements.sound))
    intact = (runs.kinds == PageKind.LEAF) & elements.sound
    end = runs.pages * walker.page_size
    np.maximum.at(end, elements.owner, leaves.value_at + leaves.value_len)
    batches = [records.take(((records.key_len > 0) & ~records.has(State.TAIL_LOST)) | (records.value_len > 0)), *inner]
    for batch in batches:
        batch.place[:] = place
    return batches, Intervals(end[intact], (runs.ends * walker.page_size)[intact])


def _add_pairs(walker: Walker, leaves: Leaves) -> Iterator[RecordBatch]:
    """Add the elements of a freed root, and of leaves of small buckets, that are what etcd stores in them.

    Yields the records of a bucket `key` that is so small that it lies inside the root's leaf.
    """
    is_lease = buckets.leases(walker.buffer, leaves)
    end = leaves.value_at + leaves.value_len
    walker.ledger.add(Account.STRUCTURE, leaves.key_at[is_lease], end[is_lease])
    for row in np.flatnonzero(~is_lease).tolist():
        key_at, value_at, stop = int(leaves.key_at[row]), int(leaves.value_at[row]), int(end[row])
        key = walker.buffer.slice(key_at, value_at - key_at)
        if not leaves.flags[row]:
            if buckets.known_anywhere(key, walker.buffer.slice(value_at, stop - value_at)):
                walker.ledger.one(Account.STRUCTURE, key_at, stop)
        elif key in buckets.NAMES:
            walker.ledger.one(Account.STRUCTURE, key_at, value_at)
            yield from _add_bucket(walker, key, value_at, stop - value_at)


def _add_bucket(walker: Walker, name: bytes, at: int, size: int) -> Iterator[RecordBatch]:
    """Add what a freed root says of a bucket: the page of its root, or all of a small one."""
    if inline.add_header(walker, at, size):
        return
    pairs = inline.read(walker, at + inline.BUCKET_HEADER, size - inline.BUCKET_HEADER).leaves
    if name == b"key":
        records, _ = mvcc.read_freed(walker.buffer, walker.source, pairs, walker.ledger)
        yield records.take((records.key_len > 0) | (records.value_len > 0))
    else:
        accounts.add_pairs(walker.ledger, walker.buffer, name, pairs)


def _carved(
    walker: Walker, runs: Sequence[Runs], tails: Sequence[Intervals], place: Place, slack: Place
) -> Iterator[RecordBatch]:
    """What the ledger has no account of, by place; closes it.

    Args:
        walker: The walker of the current root.
        runs: All runs: no value goes on from one into the next.
        tails: Behind the elements of freed leaves.
        place: The place of values in pages that no root reaches, and behind the last.
        slack: That of all others.
    """
    rest = walker.ledger.close(walker.buffer)
    if not rest.start.size:
        return
    size = walker.page_size
    start, end = (np.sort(np.concatenate([NONE, *(each[column] for each in tails)])) for column in range(2))
    is_freed = np.append(walker.kinds == PageKind.FREED, True)  # the last: what lies behind the pages
    changes = np.flatnonzero(np.diff(is_freed, prepend=False))
    edges = np.concatenate([changes, *(each.pages for each in runs), *(each.ends for each in runs)]) * size
    rest = ledger.cut(rest, np.concatenate((edges, start)))
    freed = is_freed[np.minimum(rest.start // size, walker.total)]
    tail = np.searchsorted(start, rest.start, "right") - 1
    freed[tail >= 0] &= rest.start[tail >= 0] >= end[tail[tail >= 0]]
    for own, chosen in ((place, freed), (slack, ~freed)):
        yield _carve(walker, Intervals(rest.start[chosen], rest.end[chosen]), own)


def _carve(walker: Walker, parts: Intervals, place: Place) -> RecordBatch:
    """Values carved from ranges of bytes, which they explain in the ledger."""
    batches = []
    for rows in carve.portions(walker.buffer, parts.start.tolist(), parts.end.tolist(), fragments=True):
        walker.ledger.explain(Account.ROW, carve.explained(walker.buffer, rows))
        batches.append(carve.batch(walker.buffer, walker.source, rows, place, walker.page_size))
    if not batches:
        return carve.batch(walker.buffer, walker.source, [], place, walker.page_size)
    joined = RecordBatch.concatenate(batches)
    return joined.take(np.argsort(joined.value_at, kind="stable")) if len(batches) > 1 else joined
