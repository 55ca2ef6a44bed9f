"""The ledger against the same thing counted byte by byte."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from auditor.arrays.buffer import Buffer
from auditor.evidence.ledger import Account, Intervals, Ledger, columns, merged

SIZE = 60
INTERVAL = st.tuples(st.sampled_from(list(Account)[:5]), st.integers(0, SIZE + 9), st.integers(0, 12))
Entries = list[tuple[Account, int, int]]


def kept(entries: Entries) -> Ledger:
    ledger = Ledger("m", SIZE)
    for account, start, length in entries:
        ledger.one(account, start, start + length)
    return ledger


def byte_by_byte(entries: Entries) -> list[list[Account]]:
    """The accounts that name each byte of the medium."""
    names: list[list[Account]] = [[] for _ in range(SIZE)]
    for account, start, length in entries:
        for at in range(start, min(start + length, SIZE)):
            names[at].append(account)
    return names


def covered(intervals: Intervals) -> list[int]:
    return [at for start, end in zip(*(each.tolist() for each in intervals), strict=True) for at in range(start, end)]


@given(st.lists(INTERVAL, max_size=12))
def test_bytes_of_no_interval_and_of_two_are_unaccounted(entries: Entries) -> None:
    assert covered(kept(entries).settle()) == [at for at, names in enumerate(byte_by_byte(entries)) if len(names) != 1]


@given(st.lists(INTERVAL, max_size=12), st.binary(min_size=SIZE, max_size=SIZE), st.sampled_from([0, 1]))
def test_every_byte_is_in_one_account(entries: Entries, raw: bytes, mask: int) -> None:
    raw = bytes(octet * mask for octet in raw)
    ledger, names = kept(entries), byte_by_byte(entries)
    rest = covered(ledger.close(Buffer(raw)))
    balance = ledger.balance()
    counts = [balance.structure, balance.row, balance.empty, balance.checksum, balance.inner, balance.unaccounted]
    assert sum(counts) == balance.size == SIZE
    assert balance.unaccounted == len(rest)
    assert {at for at in range(SIZE) if raw[at] and len(names[at]) != 1} <= set(rest)
    for account in (Account.STRUCTURE, Account.ROW, Account.CHECKSUM, Account.MEDIUM):
        assert counts[account] == sum(each == [account] for each in names)


@given(st.lists(st.integers(0, 9), min_size=3, max_size=3), st.integers(0, 20))
def test_a_chain_is_its_intervals_one_after_another(lengths: list[int], start: int) -> None:
    edges = np.cumsum([start, *lengths])[:, None]
    ledger = Ledger("m", SIZE)
    ledger.chain(edges[0], (Account.STRUCTURE, edges[1]), (Account.ROW, edges[2]), (Account.STRUCTURE, edges[3]))
    outside = [at for at in range(SIZE) if not start <= at < start + sum(lengths)]
    assert covered(ledger.settle()) == outside
    assert (ledger.balance().structure, ledger.balance().row) == (lengths[0] + lengths[2], lengths[1])


@given(st.lists(st.integers(0, SIZE), min_size=4, max_size=16))
def test_rows_that_touch_leave_no_hole(edges: list[int]) -> None:
    edges = sorted(edges)
    starts, seams, ends = (np.array(edges[first:last], np.int64) for first, last in ((0, -2), (1, -1), (1, -1)))
    ledger = Ledger("m", SIZE)
    ledger.chain(starts, (Account.STRUCTURE, seams), (Account.ROW, ends))  # the second part of each is empty
    assert covered(ledger.settle()) == [at for at in range(SIZE) if not edges[0] <= at < edges[-2]]
    assert ledger.balance().structure == edges[-2] - edges[0]
    intervals = [pair for _, each in ledger.intervals() for pair in zip(*(c.tolist() for c in each), strict=True)]
    assert intervals == [(start, end) for start, end in pairwise(edges[:-1]) if end > start]


def test_what_carving_explains_is_unaccounted_no_more() -> None:
    ledger = Ledger("m", SIZE)
    ledger.close(Buffer(b"x" * SIZE))
    ledger.explain(Account.ROW, 40)
    assert (ledger.balance().row, ledger.balance().unaccounted) == (40, 20)


def test_intervals_that_touch_are_one() -> None:
    whole = merged(Intervals(*columns([(1, 5), (3, 4), (5, 9), (12, 13)])))
    assert covered(whole) == [*range(1, 9), 12]
    assert whole.start.tolist() == [1, 12]
